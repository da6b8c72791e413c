#!/usr/bin/env bash
# Trains studies into one home, several at a time; started again, it goes on where it was.
#
#   reports/run.sh [-H HOME] [-j STUDIES] [-s SLOTS] [-l SECONDS] [-o FILE] STUDY... [-- OPTIONS]
#
#   -H  folder of everything recorded (.swinablate)      -j  studies at a time (1)
#   -s  trials at a time of each study (as many as fit)  -l  stop after so many seconds, resumable
#   -o  after every study pack the records here (.tar.xz), without checkpoints and data sets
#   --  what follows is given to every `swinablate run`, as `--devices cuda:0 --fuse 5`
#
# STUDY is a name in studies/, without .toml; they start in this order, so give the short ones first.
# The packed records become reports with `python -m tests.committed HOME`, anywhere.
# Example: reports/run.sh -j 4 -s 4 -l 500 -o records.tar.xz bn_rate post002_encoder mission
set -uo pipefail
main() {  # read as a whole before it begins: whoever edits this file meanwhile breaks nothing
home=.swinablate together=1 slots="" limit=0 packed=""
while getopts "H:j:s:l:o:h" option; do
    case $option in
        H) home=$OPTARG ;;
        j) together=$OPTARG ;;
        s) slots=$OPTARG ;;
        l) limit=$OPTARG ;;
        o) packed=$OPTARG ;;
        h) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) sed -n '4s/^# */usage: /p' "$0" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
studies=() options=()
while (($#)); do
    if [[ $1 == -- ]]; then shift; options=("$@"); break; fi
    [[ -f studies/$1.toml ]] || { echo "error: no study is called $1: studies/$1.toml" >&2; exit 2; }
    studies+=("$1"); shift
done
((${#studies[@]})) || { echo "error: name a study; -h explains" >&2; exit 2; }
mkdir -p "$home/run"
export OMP_NUM_THREADS=1
declare -A name_of=()

pack() {  # a reader sees the old file or the new one, never half of one
    [[ -n $packed ]] || return 0
    { tar -C "$home" --exclude='checkpoint-*' --exclude='*.tmp' -cf - studies trials 2>/dev/null ||
        [[ $? == 1 ]]; } |  # 1: others of these studies wrote meanwhile; the next time has that
        "${PYTHON:-python3}" -c '
import lzma, shutil, sys
with lzma.open(sys.argv[1], "wb", preset=3) as out: shutil.copyfileobj(sys.stdin.buffer, out)
' "$packed.part" && mv "$packed.part" "$packed" && echo "$packed: $(stat -c %s "$packed") bytes"
}
stop() {  # checkpoints are written, so that nothing is lost
    stopping=1
    ((${#name_of[@]})) && kill -TERM "${!name_of[@]}" 2>/dev/null
}
ended() {  # waits for one that runs; its exit code is said, 0 is all done
    local pid=0 code=0
    wait -n -p pid "${!name_of[@]}" || code=$?
    [[ -n ${pid:-} && -n ${name_of[$pid]:-} ]] || return 0  # a signal ended the wait
    echo "${name_of[$pid]}: exit $code after $SECONDS s: $(tail -n 1 "$home/run/${name_of[$pid]}.log")"
    unset "name_of[$pid]"
    ((code == 0)) || worst=$code
    pack
}
stopping=0 worst=0 watch=""
trap stop TERM INT HUP
if ((limit)); then { sleep "$limit"; kill -TERM $$; } > /dev/null 2>&1 & watch=$!; fi
for study in "${studies[@]}"; do
    while ((!stopping && ${#name_of[@]} >= together)); do ended; done
    ((stopping)) && break
    "${PYTHON:-python3}" -m swinablate run "studies/$study.toml" --home "$home" \
        ${slots:+--slots "$slots"} --no-report "${options[@]}" > "$home/run/$study.log" 2>&1 &
    name_of[$!]=$study
done
while ((${#name_of[@]})); do ended; done
[[ -n $watch ]] && kill "$watch" 2>/dev/null
((stopping)) && exit 75
exit "$worst"
}
main "$@"

"""A PostgreSQL server of one's own."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2

BINARIES = Path("/usr/lib/postgresql/15/bin")


@dataclass
class Postgres:
    """A private PostgreSQL server that can be stopped and started again."""

    folder: Path
    port: int
    options: dict[str, object]
    process: subprocess.Popen | None = None

    def start(self):
        command = [BINARIES / "postgres", "-D", self.folder / "data", "-F", "-h", "127.0.0.1"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "-p", str(self.port), "-k", self.folder],
                stdout=log,
                stderr=log,
                **self.options,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connect("postgres").close()
                break
            except psycopg2.OperationalError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.1)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def kill(self):
        """End it with all its processes, as a machine that loses its power does."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        below = [int(word) for word in path.read_text().split()]
        for pid in (self.process.pid, *below):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in below):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def connect(self, name):
        return psycopg2.connect(host="127.0.0.1", port=self.port, user="tester", dbname=name)

    def create(self, name):
        connection = self.connect("postgres")
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name}")
        connection.close()
        return f"postgresql://tester:s3cret@127.0.0.1:{self.port}/{name}"

    def create_for(self, user, password, name):
        """A database of a user's who has to give a password."""
        rules = self.folder / "data" / "pg_hba.conf"
        asked = f"host all {user} 127.0.0.1/32 scram-sha-256\n"
        rules.write_text(asked + rules.read_text())
        with contextlib.closing(self.connect("postgres")) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute("SELECT pg_reload_conf()")
            cursor.execute(f"CREATE ROLE {user} LOGIN PASSWORD %s", (password,))
            cursor.execute(f"CREATE DATABASE {name} OWNER {user}")

    def dump(self, name):
        """Everything in a database, as text."""
        asked = "SELECT relname FROM pg_stat_user_tables"
        with contextlib.closing(self.connect(name)) as connection:
            cursor = connection.cursor()
            cursor.execute(asked)
            tables = [table for (table,) in cursor.fetchall()]
            rows = []
            for table in tables:
                cursor.execute(f'SELECT * FROM "{table}"')
                rows += cursor.fetchall()
        return "\n".join(map(str, rows))

    def count(self, name, table):
        with contextlib.closing(self.connect(name)) as connection:
            cursor = connection.cursor()
            cursor.execute(f"SELECT count(*) FROM {table}")
            return cursor.fetchone()[0]


@contextlib.contextmanager
def started() -> Iterator[Postgres]:
    """A server on a free port, in a folder of its own; nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # pytest's folders are closed to other users
    options: dict[str, object] = {"cwd": folder}
    if os.geteuid() == 0:  # initdb refuses root
        name = next(n for n in ("postgres", "nobody") if n in {u.pw_name for u in pwd.getpwall()})
        user = pwd.getpwnam(name)
        os.chown(folder, user.pw_uid, user.pw_gid)
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--auth=trust", "--username=tester", "--encoding=UTF8", "--locale=C.UTF-8", "-N"]
    initdb = [BINARIES / "initdb", "-D", folder / "data", *words]
    subprocess.run(initdb, check=True, capture_output=True, **options)
    server = Postgres(folder, port, options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)

"""Tables of results that other programs wrote: read as what they say, or refused with a remedy.

`cells` finds encoding and separator, `wide` gives every run a row of its own, `columns` says which
column is what, `words` reads numbers, seeds and states, `measure` settles unit and direction.
Nothing here judges.
"""

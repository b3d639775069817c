"""Decisions and their order, written once for every kind of client. Private, pure, no I/O.

A program is a generator that yields effects (`effects`) and is sent their answers; `drive` runs one, given a
function that performs an effect. `retries` sends and repeats what may be repeated, `sharing` keeps one token for
everybody, `login` is the way of a user's sign-in.
"""

"""The sound player: a process of its own that turns orders on its standard input into sound.

It knows nothing of sessions, sensors or cues, only of named sounds, words, sides and deadlines.
It ends when its standard input closes, so that it never outlives the host, however that ends.
"""

"""The sound player, a process of its own."""

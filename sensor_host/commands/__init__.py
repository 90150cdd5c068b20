"""One module per command of the command line; what a command needs beyond click it imports when it runs."""

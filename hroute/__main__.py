"""`python -m hroute` is the command `hroute`."""

from hroute.cli.main import run

if __name__ == "__main__":
    run()

"""python -m rfcodec."""

from rfcodec.cli.app import main

if __name__ == "__main__":
    main()

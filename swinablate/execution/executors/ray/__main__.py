"""The driver, as a module of the package, so that actors find its classes by their names."""

import sys

from swinablate.execution.executors.ray.driver import main

if __name__ == "__main__":
    main(sys.argv[1:])

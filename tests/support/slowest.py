#!/usr/bin/env python3
"""Prints the ten slowest tests of a JUnit file of ctest, and the time of all: slowest.py FILE"""
import sys
import xml.etree.ElementTree as xml


def main():
    times = sorted(((float(case.get("time")), case.get("name")) for case in xml.parse(sys.argv[1]).iter("testcase")), reverse=True)
    print(f"{len(times)} tests, {sum(time for time, _ in times) / 60:.1f} minutes one after another; the slowest:")
    for time, name in times[:10]:
        print(f"{time:8.1f} s  {name}")


if __name__ == "__main__":
    main()

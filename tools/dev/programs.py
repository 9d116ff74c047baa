"""Programs of the system that a stage needs: installed with apt where that is possible without asking, else named."""

from __future__ import annotations

import os
import shutil
import subprocess


def missing_packages(needs: dict[str, str]) -> list[str]:
    """Debian's packages of the programs that are not there."""
    return [package for program, package in needs.items() if shutil.which(program) is None]


def root_prefix() -> list[str] | None:
    """What to put before a command that root must run; None when there is no way."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def require(needs: dict[str, str], failure: type[Exception]) -> None:
    """`needs`: a program and the packages that bring it. Raises `failure` with what to do when one stays missing."""
    packages = " ".join(missing_packages(needs))
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise failure(f"missing: {packages} (their names on Debian and Ubuntu); install them and run again")
    prefix = root_prefix()
    if prefix is None:
        line = f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {packages}"
        raise failure(f"missing: {packages}; install them with this line, then run again: {line}")
    print(f"dev: installing {packages} with apt", flush=True)
    subprocess.run([*prefix, "apt-get", "update", "-qq"], stdout=subprocess.DEVNULL)  # the lists that are here may do
    install = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    subprocess.run([*prefix, *install, *packages.split()], stdout=subprocess.DEVNULL)
    if still := " ".join(missing_packages(needs)):
        raise failure(f"apt could not install {still}; its message is above")

"""Make the project's own Python environment in .venv and install hipdrive into it.

    python3 .ci/environment.py run|test|dev|fuzz

Needs python3 >= 3.11 with pip, or with venv. A bare Debian has no ensurepip, so that ``python3 -m venv`` fails there:
then virtualenv is fetched by pip into .python/, which belongs to the project as well. Nothing outside the project
folder is touched. Called again it only brings the installed packages up to date with pyproject.toml.
"""

import os
import shutil
import subprocess
import sys

# Older interpreters must get as far as the message: plain syntax and no imports newer than Python 3.6 above check().
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
TOOLS = os.path.join(ROOT, ".python")
BIN = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")
VENV_PYTHON = os.path.join(BIN, "python.exe" if os.name == "nt" else "python")

EXTRAS = {"run": "sound", "test": "sound,test", "dev": "sound,dev", "fuzz": "sound,fuzz"}
# Who has the tools to develop, or to fuzz, has what tests and runs need.
HAS = {"run": ["run"], "test": ["run", "test"], "dev": ["run", "test", "dev"], "fuzz": ["run", "test", "fuzz"]}


def stop(text):
    """Leave with one line that says what to do."""
    sys.exit("make: " + text)


def check():
    """Refuse an interpreter that is too old."""
    if sys.version_info < (3, 11):
        stop(
            "hipdrive needs Python 3.11 or newer, but {} is {}.{}: install a newer one and call "
            "'make PYTHON=/path/to/python3.11 ...'".format(sys.executable, *sys.version_info[:2])
        )


def quietly(*command, **kwargs):
    """Run a command, keep its words to ourselves; tell whether it worked."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **kwargs)
    except OSError:
        return False
    return done.returncode == 0


def environment_works():
    """Tell whether .venv holds an interpreter that runs (it may have been upgraded away) and has pip."""
    return quietly(VENV_PYTHON, "-c", "import sys; assert sys.version_info >= (3, 11)") and quietly(
        VENV_PYTHON, "-m", "pip", "--version"
    )


def make_environment():
    """Create .venv by the first of two ways that works."""
    if environment_works():
        return
    shutil.rmtree(VENV, ignore_errors=True)
    if quietly(sys.executable, "-m", "venv", VENV) and environment_works():
        return
    shutil.rmtree(VENV, ignore_errors=True)
    if not quietly(sys.executable, "-m", "pip", "--version"):
        stop(
            "{} has neither a working venv nor pip: install one of them "
            "(Debian, Ubuntu: 'sudo apt install python3-venv')".format(sys.executable)
        )
    print("This Python has no ensurepip: fetching virtualenv into .python/", flush=True)
    # A user's own pip settings must not redirect what belongs to the project.
    pip_environment = dict(os.environ, PIP_REQUIRE_VIRTUALENV="0", PIP_USER="0", PIP_ROOT_USER_ACTION="ignore")
    got = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--target", TOOLS, "virtualenv"],
        env=pip_environment,
        check=False,
    )
    if got.returncode != 0:
        stop("pip could not fetch virtualenv (see above): is the network there?")
    made = subprocess.run(
        [sys.executable, "-m", "virtualenv", "--quiet", VENV], env=dict(os.environ, PYTHONPATH=TOOLS), check=False
    )
    if made.returncode != 0 or not environment_works():
        stop("no environment could be made; 'sudo apt install python3-venv' and try again")


def install(kind):
    """Install hipdrive, editable, with what this kind of use needs."""
    print("Installing hipdrive[{}] into .venv (once; a minute or two)".format(EXTRAS[kind]), flush=True)
    pip = [VENV_PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "--editable", "{}[{}]".format(ROOT, EXTRAS[kind])], check=False)
    if done.returncode != 0:
        stop("pip could not install the packages (see above): is the network there?")
    for kind_there in HAS[kind]:
        with open(os.path.join(VENV, ".ready-" + kind_there), "w") as stamp:
            stamp.write(ROOT + "\n")


def main():
    """Check, make, install."""
    check()
    if len(sys.argv) != 2 or sys.argv[1] not in EXTRAS:
        stop("usage: python3 .ci/environment.py " + "|".join(EXTRAS))
    make_environment()
    install(sys.argv[1])


if __name__ == "__main__":
    main()

"""Run the site until Ctrl-C: the embedded Redis, the preparation of the database, the web server."""

import argparse
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TypedDict

from django.core.exceptions import ImproperlyConfigured

from project import environment, places
from project.processes import redis_server, run_lock, web_server
from project.processes.parent_death import tie_to_parent
from project.processes.programs import Child, Program, ProgramFailed, end_leftovers, how_it_ended
from project.processes.supervisor import Signals, StopRequested, Supervisor, say


class Report(TypedDict):
    """What the preparation found.

    Whether this is a site for trying out (not production), its demo users, each with a password that opens, and
    whether there is a superuser.
    """

    demo: bool
    sign_ins: list[tuple[str, str | None]]
    superuser: bool


class Site:
    """One run of the site, step by step."""

    def __init__(self, supervisor: Supervisor, connection: socket.socket, run: Path, address: str) -> None:
        self.supervisor = supervisor
        self.connection = connection
        self.run = run
        self.address = address

    def start(self) -> None:
        """Start everything and say where it is; raises ProgramFailed if the site cannot come up."""
        self.start_redis()
        report = self.prepare()
        self.start_web_server()
        self.announce(report)

    def start_redis(self) -> None:
        """Start the embedded Redis, unless another is given or no cache is wanted; do without if none starts."""
        if not environment.boolean("CACHE_ENABLED", True):
            say("Redis: not started, the cache is switched off (CACHE_ENABLED=0)")
            return
        if environment.text("REDIS_URL") or environment.text("REDIS_HOST"):
            return
        try:
            child = redis_server.start(
                path=places.redis_socket(),
                lock=places.redis_lock(),
                data=places.var_dir() / "redis",
                log=places.var_dir() / "log" / "redis.log",
                pause=self.supervisor.signals.pause,
            )
        except redis_server.NoRedis as error:
            # Every program we start from here inherits this.
            os.environ["CACHE_ENABLED"] = "0"
            say(f"Redis: NONE. The site runs without a cache, slower. What was tried: {error}")
            return
        self.supervisor.adopt(child)
        say(f"Redis: {child.program.argv[0]} on {places.redis_socket()}")

    def prepare(self) -> Report:
        """Run the preparation to its end and return its report; raises ProgramFailed if it fails."""
        path = self.run / "prepared.json"
        path.unlink(missing_ok=True)
        program = Program(
            name="the preparation",
            argv=(sys.executable, "-m", "project.processes.preparation", str(path)),
            lock=self.run / "preparation.lock",
            answers=lambda: False,
        )
        child = Child(program, pause=self.supervisor.signals.pause)
        try:
            child.start()
            while (code := child.exit_code()) is None:
                self.supervisor.pause(1.0)
            if code:
                # It has told the reason itself.
                raise ProgramFailed(f"{program.name} {how_it_ended(code)}" if code != 1 else "")
            report: Report = json.loads(path.read_text())
            return report
        finally:
            child.kill()
            # It may hold a password.
            path.unlink(missing_ok=True)

    def start_web_server(self) -> None:
        """Start the web server and wait until the site answers; raises ProgramFailed."""
        say("Web server: starting")
        signals = self.supervisor.signals
        child = Child(web_server.program(self.connection, lock=self.run / "web.lock"), pause=signals.pause)
        try:
            child.start()
            child.wait_until_ready(pause=self.supervisor.pause)
        except BaseException:
            # Nobody is served yet, so there is nothing to finish in order.
            signals.settle()
            child.kill()
            raise
        self.supervisor.adopt(child)

    def announce(self, report: Report) -> None:
        """Say where the site is and who can sign in."""
        say("")
        public = None if report["demo"] else web_server.public_address()
        say(f"Plumbline is ready: {f'{public} (listens on {self.address})' if public else self.address}")
        for password in sorted({password for _, password in report["sign_ins"] if password}):
            names = [name for name, opened_by in report["sign_ins"] if opened_by == password]
            say(f"Sign in as {', '.join(names)} with the password {password}")
        changed = [name for name, password in report["sign_ins"] if not password]
        if changed:
            say(f"The demo password of {', '.join(changed)} was changed.")
        if report["demo"] and not report["sign_ins"]:
            say("There are no demo users.")
        if not report["demo"] and not report["superuser"]:
            say("Nobody can administer it yet: manage.py createsuperuser makes a user who can")
        say("Ctrl-C stops it.")


def serve(signals: Signals) -> None:
    """Run the site until StopRequested; raises what keeps it from starting. Leaves nothing running."""
    host, port = web_server.host_and_port()
    address = web_server.address(host, port)
    web_server.workers()  # a bad number is better told before anything is started
    run = places.make_private(places.var_dir() / "run")
    places.make_private(places.socket_dir())
    # Our children work from the project's folder, whatever ours is.
    os.environ["PLUMBLINE_VAR"] = str(places.var_dir())
    with run_lock.hold(run / "plumbline.lock", address=address):
        for name in ("web", "preparation", "redis"):
            end_leftovers(
                Program(name=name, argv=(), lock=run / f"{name}.lock", answers=lambda: False), pause=signals.pause
            )
        with web_server.listener(host, port) as connection:
            supervisor = Supervisor(signals)
            try:
                Site(supervisor, connection, run, address).start()
                supervisor.run()
            except StopRequested:
                say("Stopping …")
                raise
            finally:
                signals.settle()
                supervisor.stop()


def main() -> int:
    """Run the site; 0 after an orderly stop, 1 if it could not start."""
    parser = argparse.ArgumentParser(prog="python -m project.processes", description=__doc__)
    parser.add_argument("--with-parent", type=int, metavar="PID", help="stop when this process, our parent, ends")
    options = parser.parse_args()
    # Whatever any of us writes is for this user alone.
    os.umask(0o077)
    signals = Signals(parent=options.with_parent)
    try:
        if options.with_parent is not None:
            tie_to_parent(options.with_parent, signal.SIGTERM)
        serve(signals)
    except StopRequested:
        say("Stopped.")
    except ProcessLookupError:
        return 1
    except (ImproperlyConfigured, ProgramFailed, run_lock.AlreadyRunning, OSError) as error:
        if str(error):
            print(f"Plumbline cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

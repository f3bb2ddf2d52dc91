"""The command line: python -m gan COMMAND. It runs the same loops as the app. The commands are in gan/cli."""

import io
import sys
import warnings

import click

from gan import __version__
from gan.cli.group import Commands
from gan.cli.options import RunFailed


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="DCGAN Workshop", message="%(prog)s %(version)s")
def cli() -> None:
    """Train GANs, and explore what they learned."""


def main() -> None:
    """Runs a command. A bad argument exits 2 and a failed run 1, each with one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that the terminal lacks must not end a run
            stream.reconfigure(errors="backslashreplace")
    with_source = warnings.formatwarning
    # Our own warnings are for users, so they leave out the place in the code.
    warnings.formatwarning = lambda message, kind, *where: f"{message}\n" if kind is UserWarning else with_source(message, kind, *where)
    try:
        cli(standalone_mode=False)
    except RunFailed as error:
        code, sentence = 1, str(error)
    except click.ClickException as error:
        code, sentence = 2, error.format_message()
    except click.Abort:
        code, sentence = 130, "interrupted"
    except (ValueError, OSError) as error:
        from gan.runs.run import explain  # imports torch, which a command that has failed so has mostly imported

        code, sentence = 2, explain(error, folders=True)
    else:
        return
    finally:
        warnings.formatwarning = with_source
    click.echo(f"error: {' '.join(sentence.split())}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()

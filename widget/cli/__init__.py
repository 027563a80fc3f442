"""The `unjam` command."""

from typing import Any

import click
from pydantic import ValidationError

from widget import __version__
from widget.cli import agents, checking, embed, running, shops
from widget.errors import Problem
from widget.settings import SettingsError


class Commands(click.Group):
    """Turns the failures a person can mend into one clear sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise click.ClickException(f"the configuration cannot be used:\n{error}") from error
        except Problem as error:
            raise click.ClickException(error.detail) from error
        except ValidationError as error:
            lines = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
            raise click.ClickException("\n".join(lines)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="unjam")
def main() -> None:
    """Unjam notices when a payment gets stuck at the checkout, and gets the customer unstuck."""


for _command in (
    running.demo,
    running.serve,
    running.worker,
    running.migrate,
    checking.check,
    checking.doctor,
    shops.shop_add,
    shops.shop_set,
    shops.list_shops,
    shops.rotate_key,
    shops.list_audit,
    agents.agent_add,
    agents.agent_password,
    agents.agent_disable,
    agents.list_agents,
    embed.embed,
):
    main.add_command(_command)

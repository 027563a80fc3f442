"""Commands about the agents who answer at the desk."""

import click

from widget import clock, settings
from widget.cli.transaction import transaction


@click.command("agent-add")
@click.argument("email")
@click.argument("name")
@click.option(
    "--shop", "sites", multiple=True, required=True, help="Site key of a shop the agent works for. Repeatable."
)
@click.password_option(help="Asked for when absent.", envvar="UNJAM_AGENT_PASSWORD")
def agent_add(email: str, name: str, sites: tuple[str, ...], password: str) -> None:
    """Add an agent who may sign in to the desk."""
    from widget import agents, shops

    with transaction(writes=True) as session:
        theirs = [shops.by_site(session, site) for site in sites]
        agents.add(session, email=email, name=name, password=password, shops=theirs, now=clock.now())
    click.echo(f"Added {name}. They sign in at {settings.load().public_url}/desk/")


@click.command("agent-password")
@click.argument("email")
@click.password_option(help="Asked for when absent.", envvar="UNJAM_AGENT_PASSWORD")
def agent_password(email: str, password: str) -> None:
    """Set an agent's password."""
    from widget import agents

    with transaction(writes=True) as session:
        agents.change_password(agents.by_email(session, email), password)
    click.echo("The password is changed.")


@click.command("agent-disable")
@click.argument("email")
def agent_disable(email: str) -> None:
    """Take away an agent's access; what they wrote stays."""
    from widget import agents

    with transaction(writes=True) as session:
        agents.by_email(session, email).disabled_at = clock.now()
    click.echo(f"{email} can no longer sign in.")


@click.command("agents")
def list_agents() -> None:
    """List the agents and their shops."""
    from widget import agents

    with transaction() as session:
        for agent in agents.all_of_them(session):
            sites = ",".join(shop.site for shop in agents.shops_of(session, agent.id))
            click.echo(f"{agent.email}\t{agent.name}\t{sites}\t{'disabled' if agent.disabled_at else 'active'}")

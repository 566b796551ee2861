"""How a command says it is used: RUN DATA..., whatever names and types the version of typer makes of arguments."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class Command(TyperCommand):
    """One command, whose help calls an argument as its usage line does."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line after the command: what is needed is bare, what may be left out in []."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, without their Python types, and the options."""
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            found = (one.get_help_record(ctx) for one in self.get_params(ctx) if one.param_type_name == kind)
            records = [(name.partition(" <")[0], said) for name, said in filter(None, found)]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

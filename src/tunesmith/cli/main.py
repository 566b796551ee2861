"""`tunesmith`: one typer command a use; heavy libraries are imported inside the commands, so `--help` is instant."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tunesmith.cli.usage import Command
from tunesmith.core.errors import TunesmithError
from tunesmith.core.hardware import is_main_process
from tunesmith.samples import SAMPLES


class Commands(TyperGroup):
    """The commands; Ctrl-C ends each of them with one line."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named; a KeyboardInterrupt may say what it leaves."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            if is_main_process():
                typer.echo(f"\nStopped: {str(error) or 'nothing was written'}", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    name="tunesmith",
    cls=Commands,
    help="Turn text data into a small, fast, trustworthy NLP model by fine-tuning a pre-trained one.",
    epilog="Start with:  tunesmith demo    or    tunesmith train YOUR.csv",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

Data = Annotated[
    list[str], typer.Argument(metavar="DATA", help="File, files or folder; - is standard input.", show_default=False)
]
ModelArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, or a model folder.", show_default=False)
]
RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/reviews-1.", show_default=False)
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting: --set train.lr=3e-5. Repeatable.")
]
TextColumn = Annotated[
    str | None, typer.Option("--text", metavar="COLUMN", help="Column with the text. Default: found by itself.")
]
LabelColumn = Annotated[
    str | None, typer.Option("--label", metavar="COLUMN", help="Column with the label. Default: found by itself.")
]
TrainedText = Annotated[
    str | None, typer.Option("--text", metavar="COLUMN", help="Column with the text. Default: named as in training.")
]
TrainedLabel = Annotated[
    str | None, typer.Option("--label", metavar="COLUMN", help="Column with the label. Default: named as in training.")
]
TaskName = Annotated[
    str | None, typer.Option("--task", metavar="NAME", help="What to learn. Default: seen in the data.")
]
ReadSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="How to read DATA: --set data.encoding=cp1252. Repeatable."),
]
Group = Annotated[
    str | None, typer.Option("--group", metavar="COLUMN", help="Column whose equal values stay in one split.")
]
FORMAT_NAMES = (
    "conll, doccano, spacy, prodigy, label-studio, brat, tokens, word-rows; squad, qa; parallel, tsv, tmx, "
    "pairs; prompts, chat, text"
)


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
) -> None:
    """Turn text data into a small, fast, trustworthy NLP model by fine-tuning a pre-trained one."""
    if version:
        from tunesmith import __version__

        typer.echo(f"tunesmith {__version__}")
        raise typer.Exit


@app.command(epilog="Examples:  tunesmith train reviews.csv    tunesmith train -c recipe.yaml --set train.lr=3e-5")
def train(  # noqa: PLR0917  (typer hands options over by position)
    data: Annotated[
        list[str] | None,
        typer.Argument(metavar="DATA", help="File, files or folder; - is standard input.", show_default=False),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option("-c", "--recipe", metavar="FILE", help="A recipe (tunesmith init writes one).")
    ] = None,
    text: TextColumn = None,
    label: LabelColumn = None,
    task: TaskName = None,
    group: Group = None,
    test: Annotated[
        list[str] | None, typer.Option("--test", metavar="FILE", help="File for the final numbers; never trained on.")
    ] = None,
    dev: Annotated[list[str] | None, typer.Option("--dev", metavar="FILE", help="File for early stopping.")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help="minilm, a folder, or a hub id.")] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", metavar="NAME", help="fast, balanced (default) or best.")
    ] = None,
    settings: Settings = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="Run folder. Default: the next free runs/NAME-N.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Of everything random. Default: 0.")] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with this interrupted run.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, time a few updates, write nothing.")
    ] = False,
) -> None:
    """Fine-tune a model on labelled texts, measure it, and write a report."""
    from tunesmith.cli import train as command

    if resume is not None:
        command.resume(resume, settings or [], dry_run=dry_run)
        return
    named: dict[str, Any] = {
        "data.path": data,
        "data.test": test,
        "data.dev": dev,
        "task.kind": task,
        "task.text": text,
        "task.label": label,
    }
    named |= {"data.split.group": group, "model.source": model, "preset": preset, "seed": seed}
    arguments = {key: value for key, value in named.items() if value is not None and value != []}
    command.train(recipe, settings or [], arguments=arguments, out=out, dry_run=dry_run)


@app.command(epilog="Examples:  tunesmith check reviews.csv    tunesmith check reviews.csv --fix clean.csv")
def check(  # noqa: PLR0917
    data: Data,
    text: TextColumn = None,
    label: LabelColumn = None,
    task: TaskName = None,
    group: Group = None,
    settings: Settings = None,
    fix: Annotated[
        Path | None, typer.Option("--fix", metavar="FILE", help="Write a cleaned copy here, and a list of changes.")
    ] = None,
) -> None:
    """Look for trouble in the data, without training: columns, labels, duplicates, leaks, lengths."""
    from tunesmith.cli import check as command

    named = {"data.path": data, "task.kind": task, "task.text": text, "task.label": label, "data.split.group": group}
    command.check({k: v for k, v in named.items() if v is not None}, settings or [], fix=fix)


@app.command(
    epilog="Examples:  tunesmith convert train.conll train.jsonl    tunesmith convert notes.jsonl notes --to brat    "
    "tunesmith convert train.en train.de train.tmx"
)
def convert(
    data: Annotated[list[str], typer.Argument(metavar="IN", help="File, files or folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="What to write; nothing is overwritten.")],
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help=f"One of: {FORMAT_NAMES}. Default: by OUT's name.")
    ] = "",
    form: Annotated[str, typer.Option("--from", metavar="FORMAT", help="What IN is. Default: recognised.")] = "auto",
) -> None:
    """Write data in another format of its task, and list what that format can't hold."""
    from tunesmith.cli import convert as command

    command.convert(data, out, to=to, form=form)


@app.command(epilog="Example:  tunesmith evaluate runs/reviews-1 new_labelled.csv")
def evaluate(
    run: ModelArgument,
    data: Data,
    text: TrainedText = None,
    label: TrainedLabel = None,
    settings: ReadSettings = None,
) -> None:
    """Measure a run's model on new labelled rows."""
    from tunesmith.cli import measure as command

    command.evaluate(run, data, text=text, label=label, settings=settings or [])


@app.command(
    epilog="Examples:  tunesmith predict RUN new.csv --out said.csv    cat new.jsonl | tunesmith predict RUN -"
)
def predict(
    run: ModelArgument,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="CSV or JSON Lines with the text column; - is standard input.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PATH", help="CSV or .jsonl file; without it, CSV goes to the screen."),
    ] = None,
    text: TrainedText = None,
    settings: ReadSettings = None,
) -> None:
    """Label new texts; order and columns are kept, an interrupted job goes on where it was."""
    from tunesmith.cli import measure as command

    command.predict(run, data, out=out, text=text, settings=settings or [])


@app.command(epilog="Example:  tunesmith compare runs/a-1 runs/b-1")
def compare(  # noqa: PLR0917
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Two or more run folders.", show_default=False)],
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="FILE", help="Rows to compare on. Default: the runs' own test rows."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="Default: the first run's main metric.")
    ] = None,
    text: TrainedText = None,
    label: TrainedLabel = None,
    settings: ReadSettings = None,
) -> None:
    """Say which run is better, by how much, and how sure that is."""
    from tunesmith.cli import measure as command

    command.compare(runs, data or [], metric=metric, text=text, label=label, settings=settings or [])


@app.command(
    epilog="Examples:  tunesmith ablate reviews.csv --test test.csv --switch rdrop --switch train.mixout=0.3    "
    "tunesmith ablate -c recipe.yaml --all --seeds 0,1,2,3,4"
)
def ablate(  # noqa: PLR0917
    data: Annotated[
        list[str] | None, typer.Argument(metavar="DATA", help="File, files or folder.", show_default=False)
    ] = None,
    recipe: Annotated[Path | None, typer.Option("-c", "--recipe", metavar="FILE", help="The baseline.")] = None,
    switch: Annotated[
        list[str] | None,
        typer.Option(
            "--switch", metavar="NAME", help="A technique, a setting, or several with ' + ' between. Repeatable."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Try every technique that is known.")] = False,
    seeds: Annotated[str, typer.Option("--seeds", metavar="N,N,...", help="Each trains every variant.")] = "0,1,2",
    text: TextColumn = None,
    label: LabelColumn = None,
    task: TaskName = None,
    test: Annotated[
        list[str] | None, typer.Option("--test", metavar="FILE", help="File for the numbers; never trained on.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help="minilm, a folder, or a hub id.")] = None,
    settings: Settings = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="Folder. Default: runs/NAME-ablation; goes on there.")
    ] = None,
) -> None:
    """Measure what techniques gain here, and cost: the recipe with and without each, over seeds."""
    from tunesmith.cli import ablate as command

    named = {"data.path": data, "data.test": test, "task.kind": task, "task.text": text, "task.label": label}
    arguments = {k: v for k, v in {**named, "model.source": model}.items() if v is not None and v != []}
    command.ablate(
        recipe, settings or [], switch or [], everything=everything, seeds=seeds, arguments=arguments, out=out
    )


@app.command("lr-find", epilog="Example:  tunesmith lr-find reviews.csv")
def lr_find(  # noqa: PLR0917
    data: Annotated[
        list[str] | None, typer.Argument(metavar="DATA", help="File, files or folder.", show_default=False)
    ] = None,
    recipe: Annotated[Path | None, typer.Option("-c", "--recipe", metavar="FILE", help="A recipe.")] = None,
    text: TextColumn = None,
    label: LabelColumn = None,
    task: TaskName = None,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help="minilm, a folder, or a hub id.")] = None,
    settings: Settings = None,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=20, help="Updates to make at most.")] = 100,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The picture. Default: runs/NAME-lr.html.")
    ] = None,
) -> None:
    """Find a learning rate: raise it from step to step and look where the loss falls fastest."""
    from tunesmith.cli import lr_find as command

    named = {"data.path": data, "task.kind": task, "task.text": text, "task.label": label, "model.source": model}
    arguments = {k: v for k, v in named.items() if v is not None and v != []}
    command.lr_find(recipe, settings or [], arguments=arguments, steps=steps, out=out)


@app.command(
    epilog="Examples:  tunesmith augment reviews.csv more.csv --show 20    "
    "tunesmith augment reviews.csv --show 10 --set augment.edits=typos"
)
def augment(  # noqa: PLR0917
    data: Annotated[str, typer.Argument(metavar="DATA", help="File or folder of training rows.", show_default=False)],
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="New .csv or .jsonl; without it, rows are only shown.")
    ] = None,
    copies: Annotated[int, typer.Option("--copies", metavar="N", min=0, help="Edited copies of each row.")] = 1,
    shown: Annotated[int, typer.Option("--show", metavar="N", min=0, help="Print so many, before and after.")] = 5,
    text: TextColumn = None,
    label: LabelColumn = None,
    task: TaskName = None,
    settings: Settings = None,
) -> None:
    """Make new training rows by editing words, never those of a label, an entity or an answer."""
    from tunesmith.cli import augment as command

    named = {"data.path": [data], "task.kind": task, "task.text": text, "task.label": label}
    arguments = {k: v for k, v in named.items() if v is not None}
    command.augment(settings or [], arguments=arguments, copies=copies, out=out, n_shown=shown)


@app.command()
def report(run: RunArgument) -> None:
    """Write a run's report.html anew and say where it is."""
    from tunesmith.cli import measure as command

    command.report(run)


@app.command()
def runs(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the runs are.")] = Path("runs")) -> None:
    """List the runs on disk."""
    from tunesmith.cli import measure as command

    command.runs(folder)


@app.command(epilog="Example:  tunesmith init > recipe.yaml")
def init(
    data: Annotated[
        list[str] | None,
        typer.Argument(metavar="DATA", help="File, files or folder to put into it.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="Write here instead of to the screen.")
    ] = None,
) -> None:
    """Write a commented recipe with every setting."""
    from tunesmith.cli import check as command

    command.init(data or ["reviews.csv"], out=out)


@app.command()
def doctor() -> None:
    """Show versions, cores, memory, accelerators and the models at hand."""
    from tunesmith.cli import doctor as command

    command.doctor()


@app.command(epilog="Examples:  tunesmith demo    tunesmith demo ner")
def demo(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of: {', '.join(SAMPLES)}.")] = "classification",
    out: Annotated[Path | None, typer.Option("--out", metavar="PATH", help="Run folder.")] = None,
) -> None:
    """Fine-tune the embedded model on a sample that comes with tunesmith (half a minute to some minutes)."""
    from tunesmith.cli import train as command

    command.demo(name, out=out)


for _command in app.registered_commands:
    _command.cls = Command


def main() -> None:
    """Run the command line; the user's mistakes end with exit code 2 and no traceback."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app(prog_name="tunesmith")
    except TunesmithError as error:
        from tunesmith.recipe.problems import format_problems

        started = any(word in sys.argv for word in ("--resume",)) or type(error).__name__ == "RunError"
        typer.echo(format_problems(error.problems, ending="see above" if started else "nothing was started"), err=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()

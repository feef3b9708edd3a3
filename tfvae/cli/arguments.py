"""Recipes and their arguments, read from `tfvae.recipes`; there is no list of them here."""

import inspect
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfvae import recipes
from tfvae.errors import did_you_mean


def recipe_called(name: str) -> Callable[..., Any]:
    """Returns the public function of that name in `tfvae.recipes`.

    Raises:
        ValueError: If there is none.
    """
    known = {n: getattr(recipes, n) for n in recipes.__all__}
    if name not in known:
        raise ValueError(
            f"`RECIPE` must be one of {', '.join(known)}. "
            f"Received: RECIPE={name}.{did_you_mean(name, known)}"
        )
    return known[name]


def papers() -> dict[str, dict[str, Any]]:
    """Returns, for each recipe by name, its paper and the arguments that have no default."""
    return {
        name: {
            "paper": inspect.getdoc(inspect.getmodule(recipe)).splitlines()[0].rstrip("."),
            "required": _required(recipe),
        }
        for name, recipe in ((n, recipe_called(n)) for n in recipes.__all__)
    }


def recipe_arguments(
    recipe: Callable[..., Any], options: Mapping[str, Any], settings: Sequence[str]
) -> dict[str, Any]:
    """Returns keyword arguments for a recipe.

    Args:
        recipe: A function of `tfvae.recipes`.
        options: Arguments with an option of their own; None where it was not given.
        settings: The others, as "name=JSON".

    Raises:
        ValueError: If the recipe has no such argument, or one is given twice, is no JSON, or is
            missing.

    Example:
    >>> recipe_arguments(recipes.vae, {"latent_size": 2, "likelihood": None}, ["units=[400]"])
    {'latent_size': 2, 'units': [400]}
    """
    given = [("--" + k.replace("_", "-"), k, v) for k, v in options.items() if v is not None]
    given += [("--set", *_setting(text)) for text in settings]
    known = [k for k in _keywords(recipe) if k != "seed"]  # --seed is that of the whole run
    arguments = {}
    for source, name, value in given:
        if name not in known:
            raise ValueError(
                f"`{source}` must be for an argument of {recipe.__name__}: {', '.join(known)}. "
                f"Received: {name}.{did_you_mean(name, known)}"
            )
        if name in arguments:
            raise ValueError(f"`{name}` must be given once. Received: {source} {name} as well.")
        arguments[name] = value
    for name in _required(recipe):
        if name not in arguments:
            raise ValueError(
                f"`{name}` must be given to {recipe.__name__}, which has no default for it. "
                f"Received: nothing. Fix: --set {name}=VALUE."
            )
    return arguments


def _required(recipe: Callable[..., Any]) -> list[str]:
    """Returns the keyword arguments of a recipe that have no default."""
    parameters = inspect.signature(recipe).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]


def _keywords(recipe: Callable[..., Any]) -> list[str]:
    """Returns the keyword arguments of a recipe; one with `**arguments` passes those to `vae`."""
    parameters = inspect.signature(recipe).parameters.values()
    own = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        own += [name for name in _keywords(recipes.vae) if name not in own]
    return own


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    try:
        if not (name and equals):
            raise ValueError("it has no name=")
        return name, json_value(value)
    except ValueError as error:
        raise ValueError(
            f"`--set` must be NAME=JSON. Received: --set {shlex.quote(text)}: {error}. "
            "Fix: quote for shell and JSON, as in --set 'units=[400]' or --set 'name=\"text\"'."
        ) from None


def json_value(text: str) -> Any:
    """Returns the value of a JSON text, without the NaN and infinity that Python allows in it.

    Raises:
        ValueError: If it is none.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"JSON has no {constant}")

    return json.loads(text, parse_constant=refuse)

"""`{% fragment "equipment:card" device=row.pk %}`: a fragment declared in an app's caches.py, put into a template."""

from typing import Any

from django import template
from django.template import Context, TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Token, Variable, VariableDoesNotExist, token_kwargs
from django.utils.safestring import SafeString

from invalidation import fragments
from invalidation.exceptions import DeclarationError, UnkeyableValueError

register = template.Library()


class FragmentNode(template.Node):
    """One use of a fragment. Its parameters are plain values; anything else is a TemplateSyntaxError."""

    def __init__(self, fragment: fragments.Fragment, given: dict[str, FilterExpression], variable: str | None) -> None:
        self.fragment = fragment
        self.given = given
        self.variable = variable

    def render(self, context: Context) -> SafeString | str:
        params = {name: _value(name, expression, context) for name, expression in self.given.items()}
        try:
            content = self.fragment.render(**params)
        except UnkeyableValueError as error:
            raise TemplateSyntaxError(f'{{% fragment "{self.fragment.name}" %}}: {error}') from error
        if self.variable is None:
            return content
        context[self.variable] = content
        return ""


@register.tag("fragment")
def do_fragment(parser: Parser, token: Token) -> FragmentNode:
    """`{% fragment "service:operation" parameter=value … %}`, or with `as name` at the end to keep it for later.

    The fragment sees these values and nothing else of the page around it. The name is written out, so that an unknown
    one, or a parameter it does not take, is found when the template is read and not when a page needs it.
    """
    tag, *words = token.split_contents()
    variable = None
    if len(words) >= 2 and words[-2] == "as":
        variable, words = words[-1], words[:-2]
    if not words or words[0][0] not in "\"'" or words[0][-1] != words[0][0]:
        raise TemplateSyntaxError(
            f'{{% {tag} %}} takes the name of a fragment in quotes: {{% {tag} "service:name" … %}}'
        )
    rest = words[1:]
    given = token_kwargs(rest, parser)
    if rest:
        raise TemplateSyntaxError(f"{{% {tag} {words[0]} %}}: {rest[0]} is not written as parameter=value")
    try:
        fragment = fragments.fragment_named(words[0][1:-1])
        fragment.check(given)
    except (DeclarationError, TypeError) as error:
        raise TemplateSyntaxError(f"{{% {tag} {words[0]} %}}: {error}") from error
    return FragmentNode(fragment, given, variable)


def _value(name: str, expression: FilterExpression, context: Context) -> Any:
    """The value of an expression; raises TemplateSyntaxError for a variable that is not there.

    A template renders what is missing as nothing, and a fragment of nothing would be stored under a key of its own.
    """
    if isinstance(expression.var, Variable) and not expression.filters:
        try:
            return expression.var.resolve(context)
        except VariableDoesNotExist as error:
            raise TemplateSyntaxError(f"{name}={expression.token}: {error}") from error
    return expression.resolve(context)

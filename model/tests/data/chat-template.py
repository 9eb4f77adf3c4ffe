"""Regenerates chat-template.json (pip install jinja2): conversations, and the prompts that a template
gives for them in the environment of transformers' `apply_chat_template`.

    python model/tests/data/chat-template.py [TEMPLATE.jinja OUT.json]

Without arguments the template is chat-template.jinja, which uses the parts of Jinja and of Python's
strings that Qwen3's own template uses, and some more.
"""
import json, pathlib, sys
import jinja2.ext, jinja2.sandbox

here = pathlib.Path(__file__).parent
template, out = (sys.argv[1:] + [here / 'chat-template.jinja', here / 'chat-template.json'])[:2]
env = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
env.filters['tojson'] = lambda x: json.dumps(x, ensure_ascii=False)
env.globals['raise_exception'] = lambda message: (_ for _ in ()).throw(jinja2.TemplateError(message))
template = env.from_string(pathlib.Path(template).read_text())

thought = '<think>\nLet me see.\n\nYes.\n</think>\n\nHello!'
TALKS = [
    [('user', 'Hi')],
    [('user', ' Hi <b>&amp;\n ')],
    [('system', 'Be brief.'), ('user', 'Hi')],
    [('user', 'Hi'), ('assistant', thought), ('user', 'Why?')],
    [('user', 'Hi'), ('assistant', 'Hello'), ('user', 'Why?'), ('assistant', thought)],
    [('user', 'Hi'), ('assistant', '</think>'), ('assistant', '<think>\n\n</think>\n\nnothing thought')],
    [('system', 'One.'), ('system', 'Two.'), ('user', 'Hi'), ('assistant', '\n\nHello\n'), ('system', 'Three.')],
    [('user', 'Call.'), ('assistant', thought), ('tool', '{"a": 1}'), ('tool', 'two'), ('assistant', 'Done'), ('tool', '3')],
    [('user', 'Call.'), ('assistant', 'x'), ('user', '<tool_response>\n1\n</tool_response>'), ('assistant', thought)],
    [('assistant', thought)],
    [('tool', 'alone')],
    [('user', 'ünï 中文 👩\u200d🔬 "quoted" \\n {{ not }} {% a block %}'), ('assistant', 'ok')],
    [('nobody', 'is not shown')],
]
cases = []
for talk in TALKS:
    messages = [{'role': role, 'content': content} for role, content in talk]
    for thinking in (None, True, False):
        given = {} if thinking is None else {'enable_thinking': thinking}
        text = template.render(messages=messages, add_generation_prompt=True, tools=None, **given)
        cases.append({'messages': messages, 'thinking': thinking, 'text': text})
pathlib.Path(out).write_text(json.dumps(cases, ensure_ascii=False, indent=1) + '\n')

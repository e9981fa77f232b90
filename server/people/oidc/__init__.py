"""Our side of OpenID Connect: the relying party (docs/sign-in.md, docs/decisions/0036-openid-connect.md).

`providers` reads who they are, `wire` talks to them, `metadata` knows their addresses and keys, `requests` asks,
`checks` judges what they answer (pure), `persons` finds whom they mean, `flow` is the whole way.
"""

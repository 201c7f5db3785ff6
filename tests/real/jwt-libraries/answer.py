"""Answers one request from standard input with PyJWT: checks a token as a gateway does, or signs one as somebody who
has the private key. `tests/real/jwt_libraries.rs` asks; `answer.mjs` answers the same with jose."""

import json
import sys

import jwt


def check(jwks, token, issuer, audience):
    required = ["iss", "aud", "sub", "client_id", "jti", "iat", "exp"]
    try:
        header = jwt.get_unverified_header(token)
        if header.get("typ") != "at+jwt":
            return {"good": False, "why": "typ"}
        key = jwt.PyJWKSet.from_dict(jwks)[header["kid"]]
        claims = jwt.decode(
            token,
            key,
            algorithms=["EdDSA", "ES256"],
            issuer=issuer,
            audience=audience,
            options={"require": required},
        )
        return {"good": True, "claims": claims, "header": header}
    except (jwt.PyJWTError, KeyError) as error:
        return {"good": False, "why": type(error).__name__}


def sign(key, header, claims):
    header = dict(header)
    algorithm = header.pop("alg")
    key = None if algorithm == "none" else key
    return {"token": jwt.encode(claims, key, algorithm=algorithm, headers=header)}


request = json.load(sys.stdin)
answer = sign(**request["sign"]) if "sign" in request else check(**request["check"])
json.dump(answer, sys.stdout)

// Answers one request from standard input with jose: checks a token as a gateway does, or signs one as somebody who
// has the private key. `tests/real/jwt_libraries.rs` asks; `answer.py` answers the same with PyJWT.
import { createLocalJWKSet, importPKCS8, jwtVerify, SignJWT, UnsecuredJWT } from 'jose';
import { readFileSync } from 'node:fs';

async function check({ jwks, token, issuer, audience }) {
  const options = { issuer, audience, typ: 'at+jwt', algorithms: ['EdDSA', 'ES256'] };
  options.requiredClaims = ['sub', 'client_id', 'jti', 'iat', 'exp'];
  options.clockTolerance = 0;
  try {
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(jwks), options);
    return { good: true, claims: payload, header: protectedHeader };
  } catch (error) {
    return { good: false, why: error.code ?? String(error) };
  }
}

async function sign({ key, header, claims }) {
  if (header.alg === 'none') {
    return { token: new UnsecuredJWT(claims).encode() };
  }
  const secret = header.alg.startsWith('HS') ? Buffer.from(key) : await importPKCS8(key, header.alg);
  return { token: await new SignJWT(claims).setProtectedHeader(header).sign(secret) };
}

const request = JSON.parse(readFileSync(0, 'utf8'));
const answer = request.sign ? await sign(request.sign) : await check(request.check);
process.stdout.write(JSON.stringify(answer));

// An OpenID provider for the tests, in memory, on loopback: panva's oidc-provider, configured and nothing else.
//
//   node server.mjs [PORT]      prints its issuer in one line once it answers
//
// TOKEN_LIFE     seconds an access token lives; 60 if unset
// CLIENT_SECRET  the secret of the client `build-farm`; the public client is `automated-access`
//
// Beside the provider's own pages there is /control: GET answers the counts, POST takes {"token_life", "disabled"}.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

// Nodes before 22.1 may lack it; the library uses it.
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

const state = {
  tokenLife: Number(process.env.TOKEN_LIFE ?? 60),
  disabled: false,
  counts: { exchanges: 0, refused: 0, revoked: 0 },
};

const signingKeys = () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  return { keys: [{ ...rsa, use: 'sig', alg: 'RS256' }, { ...ec, use: 'sig', alg: 'ES256' }] };
};

const deviceClient = (id, authentication) => ({
  client_id: id,
  grant_types: [DEVICE, 'refresh_token'],
  response_types: [],
  redirect_uris: [],
  ...authentication,
});

const clients = [
  deviceClient('automated-access', { token_endpoint_auth_method: 'none' }),
  deviceClient('build-farm', {
    token_endpoint_auth_method: 'client_secret_basic',
    client_secret: process.env.CLIENT_SECRET ?? randomBytes(24).toString('base64url'),
  }),
];

const findAccount = (_ctx, id) => (state.disabled ? undefined : { accountId: id, claims: () => ({ sub: id }) });

// A resource asked for gives JWT access tokens (RFC 9068); none asked for, opaque ones.
const resourceIndicators = {
  enabled: true,
  defaultResource: () => undefined,
  useGrantedResource: () => true,
  getResourceServerInfo: (_ctx, resource) => ({
    scope: 'read:all exec:job',
    audience: resource,
    accessTokenFormat: 'jwt',
    accessTokenTTL: state.tokenLife,
    jwt: { sign: { alg: 'ES256' } },
  }),
};

const configuration = {
  clients,
  findAccount,
  jwks: signingKeys(),
  cookies: { keys: [randomBytes(24).toString('base64url')] },
  scopes: ['openid', 'offline_access'],
  rotateRefreshToken: true,
  ttl: {
    AccessToken: () => state.tokenLife,
    DeviceCode: 600,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 86400,
    Session: 86400,
  },
  features: {
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators,
  },
};

const isRefresh = (ctx) => ctx.oidc?.params?.grant_type === 'refresh_token';

const count = (provider) => {
  provider.on('grant.success', (ctx) => { state.counts.exchanges += isRefresh(ctx) ? 1 : 0; });
  provider.on('grant.error', (ctx) => { state.counts.refused += isRefresh(ctx) ? 1 : 0; });
  provider.on('refresh_token.destroyed', () => { state.counts.revoked += 1; });
};

const body = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString() || '{}');
};

const control = async (request, response) => {
  if (request.method === 'POST') {
    const wanted = await body(request);
    state.tokenLife = wanted.token_life ?? state.tokenLife;
    state.disabled = wanted.disabled ?? state.disabled;
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(state.counts));
};

const server = createServer();
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  const answer = provider.callback();
  count(provider);
  server.on('request', (request, response) => (request.url === '/control' ? control : answer)(request, response));
  console.log(issuer);
});

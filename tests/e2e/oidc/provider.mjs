// SPDX-License-Identifier: Apache-2.0
// oidc-provider, a second real OpenID provider beside glewlwyd: another
// author's idea of the same standards. One JSON on the command line says who
// and where; SIGHUP rotates the signing key while it runs.
import { createServer } from 'node:https';
import { readFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import Provider, { errors } from 'oidc-provider';

const conf = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const people = new Map(conf.people.map((p) => [p.login, p]));
let generation = 0;

function signingKey() {
	const { privateKey } = generateKeyPairSync('ec',
		{ namedCurve: 'P-256' });
	generation += 1;
	return { ...privateKey.export({ format: 'jwk' }), use: 'sig',
		alg: 'ES256', kid: `key-${generation}` };
}

function claimsOf(login) {
	const p = people.get(login);

	return { email: p.email, email_verified: p.email_verified,
		name: p.name, groups: p.groups };
}

function resourceInfo(ctx, resource) {
	if (!(resource in conf.resources))
		throw new errors.InvalidTarget();
	return { scope: 'conf_join', audience: conf.resources[resource],
		accessTokenTTL: 600,
		accessTokenFormat: conf.opaque ? 'opaque' : 'jwt',
		jwt: { sign: { alg: 'ES256' } } };
}

function makeProvider() {
	return new Provider(conf.issuer, {
		jwks: { keys: [signingKey()] },
		clients: [{
			client_id: 'perch', application_type: 'native',
			token_endpoint_auth_method: 'none',
			redirect_uris: ['http://127.0.0.1/cb'],
			grant_types: ['authorization_code', 'refresh_token',
				'urn:ietf:params:oauth:grant-type:device_code'],
			response_types: ['code'],
			id_token_signed_response_alg: 'ES256',
		}, {	// a calendar, say: nobody stands behind it
			client_id: 'svc', client_secret: 'svc-secret',
			token_endpoint_auth_method: 'client_secret_basic',
			redirect_uris: [], response_types: [],
			grant_types: ['client_credentials'],
			id_token_signed_response_alg: 'ES256',
		}, {	// the KMF, when it asks about opaque tokens
			client_id: 'kmf', client_secret: 'kmf-secret',
			token_endpoint_auth_method: 'client_secret_basic',
			redirect_uris: [], response_types: [], grant_types: [],
			id_token_signed_response_alg: 'ES256',
		}],
		cookies: { keys: ['perch-tests'] },
		scopes: ['openid', 'conf_join'],
		claims: { openid: ['sub', 'email', 'email_verified', 'name',
			'groups'] },
		conformIdTokenClaims: false,
		pkce: { required: () => true },
		issueRefreshToken: async (ctx, client) =>
			client.grantTypeAllowed('refresh_token'),
		findAccount: (ctx, id) => people.has(id) && {
			accountId: id,
			claims: () => ({ sub: id, ...claimsOf(id) }),
		},
		extraTokenClaims: (ctx, token) =>
			token.accountId && claimsOf(token.accountId),
		features: {
			devInteractions: { enabled: true },
			deviceFlow: { enabled: true },
			dPoP: { enabled: true },
			clientCredentials: { enabled: true },
			revocation: { enabled: true },
			introspection: { enabled: true,
				allowedPolicy: async () => true },
			resourceIndicators: {
				enabled: true,
				defaultResource: () => conf.default_resource,
				useGrantedResource: async () => true,
				getResourceServerInfo: resourceInfo,
			},
		},
	});
}

let handler = makeProvider().callback();

process.on('SIGHUP', () => {
	handler = makeProvider().callback();
	console.log(`rotated ${generation}`);
});
createServer({ key: readFileSync(conf.key), cert: readFileSync(conf.cert) },
	(req, res) => handler(req, res))
	.listen(conf.port, '127.0.0.1', () => console.log('ready'));

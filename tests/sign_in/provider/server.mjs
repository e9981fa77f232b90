// A real OpenID provider for tests, on loopback. Its first line on standard input says what it is; it ends with it.
// Whoever asks is the person that the header X-Person names: signed in at once, or not at all.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { default: Provider } = await import(
  pathToFileURL(`${process.argv[2]}/node_modules/oidc-provider/lib/index.js`)
);
const lines = createInterface({ input: process.stdin });
const [first] = await once(lines, "line");
const { issuer, port, clients, jwks, people, claims, scopes, acr } = JSON.parse(first);
lines.on("close", () => process.exit(0));

const provider = new Provider(issuer, {
  clients,
  jwks,
  scopes: ["openid", ...scopes],
  claims: { openid: ["sub", ...claims] },
  acrValues: acr,
  conformIdTokenClaims: false,
  clientAuthMethods: ["private_key_jwt"],
  enabledJWA: {
    clientAuthSigningAlgValues: ["RS256", "PS256", "ES256"],
    idTokenSigningAlgValues: ["RS256", "PS256", "ES256"],
    dPoPSigningAlgValues: ["ES256"],
  },
  cookies: { keys: ["only in tests"] },
  pkce: { required: () => true },
  ttl: { AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600, AccessToken: 60 },
  features: {
    devInteractions: { enabled: false },
    pushedAuthorizationRequests: { enabled: true },
    dPoP: {
      enabled: true,
      nonceSecret: createHash("sha256").update("only in tests").digest(),
      requireNonce: () => true,
    },
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (ctx, sub) =>
    people[sub] && { accountId: sub, claims: () => ({ sub, ...people[sub].claims }) },
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope(["openid", ...scopes].join(" "));
    grant.addOIDCClaims(claims);
    await grant.save();
    return grant;
  },
});

provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith("/interaction/")) return next();
  const who = ctx.get("x-person");
  const result = people[who]
    ? { login: { accountId: who, acr: people[who].acr, remember: true } }
    : { error: "access_denied", error_description: "the person went away" };
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
  ctx.respond = false;
});

const server = provider.listen(port, "127.0.0.1");
await once(server, "listening");
console.log("ready");

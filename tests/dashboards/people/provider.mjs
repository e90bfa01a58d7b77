// A real OpenID provider (npm's oidc-provider) for test_oidc_peer.py: any login is let in.
import Provider from "oidc-provider";

const [issuer, port, redirect] = process.argv.slice(2);
const groups = { ann: ["gatelens-admins"], olga: ["owners"], eve: ["somebody"] };
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "gatelens",
      client_secret: "not-a+secret/of anybody",
      redirect_uris: [redirect],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  claims: { openid: ["sub"], email: ["email"], profile: ["name"], groups: ["groups", "apis"] },
  scopes: ["openid", "email", "profile", "groups"],
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, email: `${id}@example.com`, name: `The ${id}`, groups: groups[id], apis: ["mine-api"],
    }),
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));

import { defineAdapter } from "weir/sdk";
import { z } from "zod";

export default defineAdapter({
  name: "teams",
  provides: ["attributes"],
  input: { account: "string" },
  outputs: { team: "string" },
  config: z.strictObject({ teams: z.record(z.string(), z.string()) }),
  create: ({ teams }) => {
    const known = new Map(Object.entries(teams));
    return { attributes: ({ account }) => ({ team: known.get(account) }) };
  },
});

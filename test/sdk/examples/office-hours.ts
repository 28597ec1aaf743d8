import { defineAdapter } from "weir/sdk";
import { z } from "zod";

/** Lets requests pass during office hours (UTC), and some users always. */
export default defineAdapter({
  name: "office-hours",
  provides: ["check"],
  input: { "user?": "string" },
  config: z.strictObject({
    from: z.int().min(0).max(23),
    to: z.int().min(1).max(24),
    always: z.array(z.string()).default([]),
  }),
  create({ from, to, always }, host) {
    const exempt = new Set(always);
    return {
      check({ user }) {
        const hour = new Date(host.now()).getUTCHours();
        if (hour >= from && hour < to) return { allow: true };
        if (user !== undefined && exempt.has(user)) return { allow: true };
        host.count("closed");
        return {
          allow: false,
          code: "permission_denied",
          message: `open from ${from} to ${to} h UTC`,
          validForMs: 60_000,
        };
      },
    };
  },
});

import { defineAdapter } from "weir/sdk";
import { z } from "zod";
export default defineAdapter({ name: "list", provides: [], config: z.strictObject({}), create: () => ({}) });

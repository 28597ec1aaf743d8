import { defineAdapter } from "weir/sdk";
import { z } from "zod";
export default defineAdapter({ name: "memory", provides: [], config: z.strictObject({}), create: () => ({}) });

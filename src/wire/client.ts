export type { Client } from "../listen/client.ts";

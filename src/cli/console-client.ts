import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { resolve } from "node:path";
import type { Command } from "commander";
import { whyUnreachable } from "../client/failure.ts";
import { type ErrorCode, errorCodes } from "../util/error-codes.ts";
import { readTextFile } from "../util/text-file.ts";
import { WeirError } from "../util/weir-error.ts";
import { endpointOf, readAddress } from "./hub-address.ts";
import { addTlsOptions, readTls, type TlsOptions } from "./hub-options.ts";
import type { Io } from "./io.ts";

/** What a command that asks the admin listener is told of it. */
export interface ConsoleOptions extends TlsOptions {
  readonly admin: string;
  readonly tokenFile?: string;
}

/** One question to the admin listener. */
export interface ConsoleQuestion {
  /** Path and query. */
  readonly path: string;
  /** Default: GET. */
  readonly method?: "GET" | "POST";
  /** What a POST says, as JSON. */
  readonly body?: unknown;
}

const defaultAdmin = "127.0.0.1:9093";
const maxTokenBytes = 4096;
const maxAnswerBytes = 256 * 1024 * 1024;
/** How long the hub may say nothing. */
const silenceMs = 30_000;

/** Adds the options that say where the admin listener is and how it is asked. */
export function addConsoleOptions(command: Command): Command {
  const asked = command
    .option("--admin <host:port>", "admin listener of the hub", readAddress, defaultAdmin)
    .option("--token-file <file>", "file of the bearer token to show (default: the variable WEIR_TOKEN)");
  return addTlsOptions(asked, "--admin");
}

/**
 * Asks the admin listener and answers what it says, read as JSON.
 *
 * @param admin the listener, where it is not the one of the options
 * @throws WeirError WEIR_USAGE, WEIR_UNREACHABLE, or the code that the hub answers with
 */
export async function askConsole(
  options: ConsoleOptions,
  { env, cwd }: Pick<Io, "env" | "cwd">,
  { path, method = "GET", body }: ConsoleQuestion,
  admin: string = options.admin,
): Promise<unknown> {
  const { tls } = await readTls(options, cwd);
  const token = options.tokenFile === undefined ? env["WEIR_TOKEN"] : await readToken(resolve(cwd, options.tokenFile));
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const { host, port } = endpointOf(admin);
  const settings = {
    host,
    port,
    path,
    method,
    agent: false,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(sent === undefined ? {} : { "content-type": "application/json" }),
    },
  };
  const { serverName, ...files } = tls ?? {};
  const named = serverName === undefined ? {} : { servername: serverName };
  const { status, text } = await new Promise<Answer>((answer, fail) => {
    const request = tls === undefined ? httpRequest(settings) : httpsRequest({ ...settings, ...files, ...named });
    request.setTimeout(silenceMs, () => request.destroy(new Error(`no answer for ${silenceMs / 1000} s`)));
    request.once("error", fail);
    request.once("response", (response) => void read(response).then(answer, fail));
    request.end(sent);
  }).catch((error: unknown) => {
    const why = whyUnreachable(error instanceof Error ? error.message : String(error));
    throw new WeirError("WEIR_UNREACHABLE", `cannot ask the hub at ${admin}: ${why}`, { cause: error });
  });
  const json = jsonOf(text);
  if (status === 200 && json !== undefined) return json;
  const { code, message } = (json as { error?: { code?: string; message?: string } } | undefined)?.error ?? {};
  // The HTTP listener of a hub knows none of these paths.
  const isElsewhere = code === "WEIR_NOT_FOUND" && /nothing at this path/.test(message ?? "");
  if (code !== undefined && code in errorCodes && !isElsewhere) throw new WeirError(code as ErrorCode, message ?? code);
  throw new WeirError("WEIR_UNREACHABLE", `${admin} answered ${status}: is it the admin listener of a hub?`);
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function read(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) throw new Error(`the answer is larger than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() };
}

async function readToken(path: string): Promise<string> {
  const text = await readTextFile(path, maxTokenBytes);
  if (typeof text === "string") return text.trim();
  throw new WeirError("WEIR_USAGE", `--token-file: ${path} could not be read: ${text.message}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

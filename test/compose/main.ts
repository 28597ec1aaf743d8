/**
 * `npm run compose`: brings up what docker-compose.yml describes, sends traffic through it, asks each service by its own API
 * what became of that, and takes everything down. Exit status 0 when all is as it should be, 1 when something is not, 2
 * when there is nothing to run it with.
 */
import { parseArgs } from "node:util";
import type { Check } from "./check.ts";
import { broken, down, logs, missing, up } from "./composition.ts";
import { faultChecks } from "./fault-checks.ts";
import { serviceChecks } from "./service-checks.ts";

const usage = `npm run compose -- [--keep]

  --keep   leaves everything running, also what failed; docker compose --project-name weir-check down --volumes ends it
`;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Shows what services wrote; the requests that they served tell nothing of why. */
async function showLogs(services: readonly string[]): Promise<void> {
  if (services.length === 0) return;
  const written = await logs(...services).catch((error: unknown) => `no logs: ${String(error)}\n`);
  process.stderr.write(written.replaceAll(/^.*"log":"access".*\n/gm, ""));
}

/** Whether it held. */
async function passes({ what, of, run }: Check): Promise<boolean> {
  try {
    print(`✔ ${what}: ${await run()}`);
    return true;
  } catch (error) {
    print(`✘ ${what}: ${(error as Error).message}`);
    await showLogs(of);
    return false;
  }
}

async function main(keep: boolean): Promise<number> {
  const gap = await missing();
  if (gap !== undefined) {
    process.stderr.write(`not run: ${gap}\n`);
    return 2;
  }
  // Docker's commands are told by the terminal too; what is up is taken down whatever happens.
  let interrupted = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => (interrupted = true));
  let passed = 0;
  let failed = 0;
  try {
    await up();
    print("");
    for (const check of [...serviceChecks(), ...faultChecks()]) {
      if (interrupted) throw new Error("interrupted");
      if (await passes(check)) passed++;
      else failed++;
    }
  } catch (error) {
    failed++;
    print(`✘ ${(error as Error).message}`);
    if (!interrupted) await showLogs(await broken().catch(() => []));
  } finally {
    if (!keep || interrupted) await down();
  }
  print(`\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** The options; `undefined` where they are none of ours, which is said. */
function options(): { readonly keep: boolean; readonly help: boolean } | undefined {
  try {
    const boolean = { type: "boolean", default: false } as const;
    return parseArgs({ options: { keep: boolean, help: boolean } }).values;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    return undefined;
  }
}

const asked = options();
if (asked?.help) process.stdout.write(usage);
else process.exitCode = asked === undefined ? 2 : await main(asked.keep);

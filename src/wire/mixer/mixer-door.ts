import { Bag } from "../../attributes/bag.ts";
import type { Layout } from "../../attributes/layout.ts";
import type { Asked, Decision } from "../../runtime/decision.ts";
import { WeirError } from "../../util/weir-error.ts";
import type { Call, DoorOptions, GrpcDoor } from "../call.ts";
import { refuseForeignAttributes } from "../permit.ts";
import { asBuffer, Reader } from "../protobuf/reader.ts";
import { Writer } from "../protobuf/writer.ts";
import type { Session } from "../session.ts";
import { AnswerCache } from "./answer-cache.ts";
import { AttributeDecoder } from "./attribute-decoder.ts";
import { checkAnswer } from "./check-answer.ts";
import { maxAmount, readCheckRequest, type CheckRequest, type QuotaWish } from "./check-request.ts";
import { globalWords } from "./dictionary.ts";
import { ReportRequest } from "./report-request.ts";

const name = "mixer";

const emptyAnswer = new Uint8Array(0);

/** The gRPC status code INVALID_ARGUMENT. */
const invalidArgument = 3;

/**
 * The door of Istio's proxies, versions 1.0 to 1.7: `istio.mixer.v1.Mixer`.
 *
 * A check is answered with gRPC OK whatever the verdict. A report is answered with OK when its records were taken; a
 * record that is malformed costs only itself, unless none of them is good.
 */
export function createMixerDoor({ open, observer, log }: DoorOptions): GrpcDoor {
  const decoder = new AttributeDecoder();
  const reader = new Reader();
  const writer = new Writer();
  const answers = new AnswerCache();
  const report = new ReportRequest();
  const defaultWords = decoder.createWords();
  /** A bag that no check uses at the moment, and the one of reports. */
  let spare: Bag | undefined;
  let reported: Bag | undefined;

  function takeBag(layout: Layout): Bag {
    const bag = spare?.layout === layout ? spare : new Bag(layout);
    spare = undefined;
    return bag;
  }

  function answer(decision: Decision, bag: Bag, request: CheckRequest): Uint8Array {
    const { globalWordCount } = request;
    const known = answers.find(decision, bag, globalWordCount);
    if (known !== undefined) return known;
    const bytes = checkAnswer(writer, withHugeAmountsNamed(decision, request.quotas), bag, globalWordCount);
    answers.keep(decision, bag, globalWordCount, bytes);
    return bytes;
  }

  function tellDropped(): void {
    if (decoder.dropped === 0) return;
    observer.dropped("attribute", "undefined_index", decoder.dropped);
    decoder.dropped = 0;
  }

  function check(message: Uint8Array, call: Call): Uint8Array | Promise<Uint8Array> {
    const request = readCheckRequest(reader.reset(asBuffer(message)));
    checkDictionary(request.globalWordCount);
    const session = open();
    let pending = false;
    try {
      const bag = takeBag(session.layout);
      decoder.fill(bag, request.buffer, request.start, request.end);
      tellDropped();
      refuseForeignAttributes(bag, call.client, name, observer);
      const decision = session.check(bag, askedOf(request, call));
      if (decision instanceof Promise) {
        pending = true;
        return decision.then((decided) => answer(decided, bag, request)).finally(() => session.end());
      }
      const bytes = answer(decision, bag, request);
      spare = bag;
      return bytes;
    } finally {
      if (!pending) session.end();
    }
  }

  function takeReport(message: Uint8Array, call: Call): Uint8Array | Promise<Uint8Array> {
    const buffer = asBuffer(message);
    report.read(reader.reset(buffer), defaultWords);
    checkDictionary(report.globalWordCount);
    if (report.count === 0) return emptyAnswer;
    const session = open();
    let pending = false;
    try {
      const { problem } = takeRecords(session, buffer, call);
      const stored = session.commit();
      if (stored !== undefined) {
        pending = true;
        return stored.then(() => answerReport(problem)).finally(() => session.end());
      }
      return answerReport(problem);
    } finally {
      if (!pending) session.end();
      tellDropped();
    }
  }

  function answerReport(problem: WeirError | undefined): Uint8Array {
    if (problem !== undefined) throw problem;
    return emptyAnswer;
  }

  /** Takes the records of a report. Answers what its caller is to be told when none is lost behind. */
  function takeRecords(session: Session, buffer: Buffer, call: Call): { readonly problem: WeirError | undefined } {
    const { count: records, starts, ends, isIndependent } = report;
    const bag = reported?.layout === session.reportLayout ? reported : new Bag(session.reportLayout);
    reported = bag;
    bag.clear();
    let taken = 0;
    let full = 0;
    let problem: WeirError | undefined;
    for (let i = 0; i < records; i++) {
      try {
        if (isIndependent || i === 0) decoder.fill(bag, buffer, starts[i]!, ends[i]!, defaultWords);
        else {
          decoder.change(bag, buffer, starts[i]!, ends[i]!, defaultWords);
          bag.clearReads();
        }
        refuseForeignAttributes(bag, call.client, name, observer);
      } catch (error) {
        if (!(error instanceof WeirError)) throw error;
        problem ??= error;
        continue;
      }
      if (session.report(bag) === "taken") taken++;
      else full++;
    }
    if (problem !== undefined) {
      const malformed = records - taken - full;
      observer.dropped("record", "malformed", malformed);
      log.warn({ peer: call.peer, records, malformed, first: problem.message }, "records of a report are malformed");
    }
    if (full > 0) {
      const message = `${taken} of ${records} records taken: a queue or the buffer is full`;
      return { problem: new WeirError("WEIR_REPORT_NOT_TAKEN", message) };
    }
    if (taken > 0 || problem === undefined) return { problem: undefined };
    return { problem: new WeirError(problem.code, `0 of ${records} records taken: ${problem.message}`) };
  }

  return {
    name,
    unary: new Map([
      ["/istio.mixer.v1.Mixer/Check", check],
      ["/istio.mixer.v1.Mixer/Report", takeReport],
    ]),
    duplex: new Map(),
    caches: { words: decoder.words, answers },
  };
}

/** Refuses a caller that knows more global words than there are, in the words that its kind expects. */
function checkDictionary(globalWordCount: number): void {
  if (globalWordCount <= globalWords.length) return;
  throw new WeirError(
    "WEIR_DICTIONARY_MISMATCH",
    `inconsistent global dictionary versions used: mixer knows ${globalWords.length} words, caller knows ${globalWordCount}`,
  );
}

function askedOf({ quotas, dedupId }: CheckRequest, call: Call): Asked {
  const { deadlineMs } = call;
  const asked: { -readonly [K in keyof Asked]: Asked[K] } = { carrier: call };
  if (deadlineMs !== undefined) asked.deadlineMs = deadlineMs;
  if (dedupId !== "") {
    asked.dedupId = dedupId;
    asked.caller = call.peer;
  }
  if (quotas !== undefined) {
    // An amount that no number holds exactly is handed on as NaN, which is refused; the answer says what came.
    asked.quotas = new Map(
      Array.from(quotas, ([name, { amount, bestEffort }]) => [
        name,
        { amount: typeof amount === "bigint" ? NaN : amount, bestEffort },
      ]),
    );
  }
  return asked;
}

/** Puts what was sent into the answer for amounts that {@link askedOf} could not hand on. */
function withHugeAmountsNamed(decision: Decision, wishes: ReadonlyMap<string, QuotaWish> | undefined): Decision {
  if (wishes === undefined || decision.quotas.size === 0) return decision;
  const quotas = new Map(decision.quotas);
  for (const [name, { amount }] of wishes) {
    const outcome = quotas.get(name);
    if (typeof amount !== "bigint" || outcome === undefined) continue;
    const message = `expected an amount of 0 to ${maxAmount}, got ${amount}`;
    quotas.set(name, { ...outcome, granted: 0, validForMs: 0, code: invalidArgument, message });
  }
  return { ...decision, quotas };
}

import { Bag } from "../../attributes/bag.ts";
import { WeirError } from "../../util/weir-error.ts";
import type { DoorOptions } from "../call.ts";
import { refuseForeignAttributes } from "../permit.ts";
import { statusOf } from "../status.ts";
import { fillBag } from "./attributes.ts";
import { bodyObject } from "./check-route.ts";
import { isObject } from "./json.ts";
import { httpDoorName, type HttpAnswer, type HttpRoute } from "./route.ts";

/** The most records whose mistakes are told one by one. */
const maxErrors = 100;

/** When a caller whose records were not taken does best to come again, in seconds. */
const retryAfter = "1";

/**
 * `POST /v1/report`: takes the records in the body. A record that is wrong costs only itself. At the first that finds a
 * queue full the hub stops: it and those after it are not taken, and the answer is 429.
 */
export function reportRoute({ open, observer }: Pick<DoorOptions, "open" | "observer">): HttpRoute {
  return {
    method: "POST",
    path: "/v1/report",
    name: "report",
    handle({ body, call }) {
      const { reports } = bodyObject(body, ["reports"]);
      if (!Array.isArray(reports)) throw new WeirError("WEIR_REQUEST_MALFORMED", "reports is a list of records");
      const errors: { index: number; code: string; message: string }[] = [];
      let taken = 0;
      let broken = 0;
      let next = 0;
      let notTaken = 0;
      let stored: Promise<void> | undefined;
      const session = open();
      try {
        const bag = new Bag(session.reportLayout);
        for (const record of reports as readonly unknown[]) {
          bag.clear();
          try {
            fillBag(bag, session.vocabulary, attributesOf(record));
            refuseForeignAttributes(bag, call.client, httpDoorName, observer);
          } catch (error) {
            if (!(error instanceof WeirError)) throw error;
            if (broken < maxErrors) errors.push({ index: next, code: error.code, message: error.message });
            broken++;
            next++;
            continue;
          }
          if (session.report(bag) === "full") break;
          taken++;
          next++;
        }
        notTaken = reports.length - next;
        // The first of them was counted when it was tried.
        if (notTaken > 1) session.notTried(notTaken - 1);
        stored = session.commit()?.finally(() => session.end());
      } finally {
        if (stored === undefined) session.end();
      }
      if (broken > 0) observer.dropped("record", "broken", broken);
      const answer = { taken, not_taken: notTaken, broken, errors };
      const told = (): HttpAnswer => {
        if (notTaken === 0) return { status: 200, json: answer };
        const { code, message, http } = statusOf(
          "WEIR_REPORT_NOT_TAKEN",
          `a queue or the buffer is full: the records from ${next} on were not taken; send them again later`,
        );
        return { status: http, headers: { "retry-after": retryAfter }, json: { ...answer, error: { code, message } } };
      };
      return stored === undefined ? told() : stored.then(told);
    },
  };
}

/** A record is its attributes, as they stand or under `attributes` as in a check. */
function attributesOf(record: unknown): unknown {
  return isObject(record) && "attributes" in record && Object.keys(record).length === 1 ? record["attributes"] : record;
}

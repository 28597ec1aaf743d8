import { bucketEntries, type BucketEntry } from "./bucket-entries.ts";
import type { PolicyReads } from "../proxy/reads.ts";
import { said, type Tree } from "./commented.ts";
import type { Descriptor } from "./descriptor.ts";
import { hubStream } from "./hub-cluster.ts";
import type { EnvoySettings } from "./settings.ts";

const filterType = "type.googleapis.com/envoy.extensions.filters.http.rate_limit_quota.v3";

/** The most entries that requests may lack: there is a bucket for each choice of them. */
export const maxOptional = 4;

type Optional = Extract<BucketEntry, { input: Tree }>;

/** The HTTP filter that keeps to the limits `at: ratelimit` by itself. */
export function rateLimitQuotaFilter(settings: EnvoySettings, descriptor: Descriptor): Tree {
  const { entries } = bucketEntries(descriptor);
  return {
    name: "envoy.filters.http.rate_limit_quota",
    typed_config: {
      "@type": `${filterType}.RateLimitQuotaFilterConfig`,
      domain: settings.domain,
      rlqs_server: hubStream(),
      bucket_matchers: said(
        "Envoy lets pass without counting whose bucket it cannot name: a request that lacks something has a bucket of what it has.",
        matchers(settings, entries),
      ),
    },
  };
}

/** What an operator should know of that filter, in whole sentences. */
export function quotaWarnings(
  descriptor: Descriptor,
  { undivided }: Pick<PolicyReads, "undivided">,
): readonly string[] {
  const { entries, warnings: lacking } = bucketEntries(descriptor);
  const warnings = [
    ...lacking,
    ...undivided.map(
      (rule) => `${rule} limits what is at work at once, to which no proxy can keep by itself: its buckets refuse all`,
    ),
  ];
  const optional = entries.filter(isOptional);
  if (optional.length <= maxOptional) return warnings;
  const left = optional.slice(maxOptional).map(({ key }) => key);
  return [
    ...warnings,
    `a bucket has at most ${maxOptional} entries that requests may lack: ${left.join(", ")} are left out`,
  ];
}

/** A bucket for each choice of entries that a request may have, the largest choice first. */
function matchers(settings: EnvoySettings, entries: readonly BucketEntry[]): Tree {
  const optional = entries.filter(isOptional).slice(0, maxOptional);
  const always = entries.filter((entry) => !isOptional(entry));
  const choices = Array.from({ length: 2 ** optional.length }, (_, bits) =>
    optional.filter((_, i) => (bits & (1 << i)) !== 0),
  );
  choices.sort((a, b) => b.length - a.length);
  const none = { on_no_match: action(settings, always) };
  if (optional.length === 0) return none;
  return {
    matcher_list: {
      matchers: choices
        .filter((choice) => choice.length > 0)
        .map((choice) => ({ predicate: predicate(choice), on_match: action(settings, [...always, ...choice]) })),
    },
    ...none,
  };
}

/** Holds for a request that has all of them. */
function predicate(choice: readonly Optional[]): Tree {
  const each = choice.map(({ input }) => ({
    single_predicate: { input, value_match: { safe_regex: { google_re2: {}, regex: "(?s).+" } } },
  }));
  return each.length === 1 ? each[0]! : { and_matcher: { predicate: each } };
}

function action(settings: EnvoySettings, entries: readonly BucketEntry[]): Tree {
  // An id without entries is none.
  const named = entries.length > 0 ? entries : [{ key: "generic_key", constant: "weir" }];
  const closed = settings.failure === "closed";
  const fallback = { fallback_rate_limit: { blanket_rule: closed ? "DENY_ALL" : "ALLOW_ALL" } };
  return {
    action: {
      name: "bucket",
      typed_config: {
        "@type": `${filterType}.RateLimitQuotaBucketSettings`,
        bucket_id_builder: {
          bucket_id_builder: Object.fromEntries(
            named.map((entry) => [
              entry.key,
              "input" in entry ? { custom_value: entry.input } : { string_value: entry.constant },
            ]),
          ),
        },
        reporting_interval: "5s",
        // Until the hub has answered for the first time, and when what it assigned has run out.
        no_assignment_behavior: fallback,
        expired_assignment_behavior: fallback,
      },
    },
  };
}

function isOptional(entry: BucketEntry): entry is Optional {
  return "input" in entry && !entry.isAlways;
}

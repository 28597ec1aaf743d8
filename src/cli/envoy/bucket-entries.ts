import { plain, type Tree } from "./commented.ts";
import type { Descriptor } from "./descriptor.ts";
import { jwtAuthnName } from "./ext-authz.ts";

/** Where an entry of a bucket's id comes from: a constant, or an input, which every request or not every one has. */
export type BucketEntry =
  | { readonly key: string; readonly constant: string }
  | { readonly key: string; readonly input: Tree; readonly isAlways: boolean };

/** One of Envoy's rate limit actions, as {@link Descriptor} has it. */
interface Action {
  readonly generic_key?: { readonly descriptor_key: string; readonly descriptor_value: string };
  readonly request_headers?: { readonly descriptor_key: string; readonly header_name: string };
  readonly query_parameters?: { readonly descriptor_key: string; readonly query_parameter_name: string };
  readonly remote_address?: object;
  readonly metadata?: {
    readonly descriptor_key: string;
    readonly metadata_key: { readonly path: readonly { readonly key: string }[] };
  };
  readonly extension?: { readonly typed_config: { readonly descriptor_key: string } };
}

const types = "type.googleapis.com/envoy";
const inputs = `${types}.extensions.matching.common_inputs`;

/**
 * The entries of a descriptor as those of a bucket's id, which are told by inputs of matchers; what no input tells is a
 * warning.
 */
export function bucketEntries({ actions }: Descriptor): {
  readonly entries: readonly BucketEntry[];
  readonly warnings: readonly string[];
} {
  const entries: BucketEntry[] = [];
  const warnings: string[] = [];
  for (const tree of actions) {
    const action = plain(tree) as Action;
    const entry = entryOf(action);
    if (entry !== undefined) entries.push(entry);
    else {
      const key = action.extension?.typed_config.descriptor_key ?? Object.keys(action)[0]!;
      warnings.push(`no input of the filter rate_limit_quota tells ${key}: limits that read it do not hold there`);
    }
  }
  return { entries, warnings };
}

function entryOf(action: Action): BucketEntry | undefined {
  const { generic_key, request_headers, query_parameters, remote_address, metadata, extension } = action;
  if (generic_key !== undefined) return { key: generic_key.descriptor_key, constant: generic_key.descriptor_value };
  if (request_headers !== undefined) {
    const { descriptor_key: key, header_name } = request_headers;
    return {
      key,
      input: input(`${types}.type.matcher.v3.HttpRequestHeaderMatchInput`, { header_name }),
      isAlways: false,
    };
  }
  if (query_parameters !== undefined) {
    const { descriptor_key: key, query_parameter_name: query_param } = query_parameters;
    return {
      key,
      input: input(`${types}.type.matcher.v3.HttpRequestQueryParamMatchInput`, { query_param }),
      isAlways: false,
    };
  }
  if (remote_address !== undefined)
    return { key: "remote_address", input: input(`${inputs}.network.v3.SourceIPInput`), isAlways: true };
  if (metadata !== undefined) {
    const { descriptor_key: key, metadata_key } = metadata;
    const path = metadata_key.path.map(({ key }) => ({ key }));
    return {
      key,
      input: input(`${inputs}.network.v3.DynamicMetadataInput`, { filter: jwtAuthnName, path }),
      isAlways: false,
    };
  }
  switch (extension?.typed_config.descriptor_key) {
    case "source.principal":
      return { key: "source.principal", input: input(`${inputs}.ssl.v3.UriSanInput`), isAlways: false };
    case "connection.requested_server_name":
      return {
        key: "connection.requested_server_name",
        input: input(`${inputs}.network.v3.ServerNameInput`),
        isAlways: false,
      };
    default:
      return undefined;
  }
}

/** An input of a matcher. */
function input(type: string, fields: { readonly [key: string]: Tree } = {}): Tree {
  return { name: type.slice(type.lastIndexOf(".") + 1), typed_config: { "@type": type, ...fields } };
}

import { want, type Want } from "../../protobuf/field-index.ts";
import type { EntrySlots, MapSlots } from "./entry-slots.ts";

type Fields = Readonly<Record<number, Want>>;

/** Which fields of an entry's messages are looked at, by message and field number: those that some slot asks for. */
export interface EntryFields {
  readonly common: Fields;
  readonly request: Fields;
  readonly response: Fields;
}

export function entryFields(slots: EntrySlots): EntryFields {
  const { source, destination, request, response, connection, upstream, context } = slots;
  const asked = (...of: readonly number[]): boolean => of.some((slot) => slot >= 0);
  const text = (isAsked: boolean): Want => (isAsked ? want.delimited : want.nothing);
  const number = (isAsked: boolean): Want => (isAsked ? want.varint : want.nothing);
  const all = (isAsked: boolean): Want => (isAsked ? want.repeated : want.nothing);

  const isPeerAsked = source.isRead || destination.isRead;
  const isWholeAsked = asked(response.duration, connection.duration, context.time, context.timestamp);
  const isGrpcAsked = asked(context.protocol, response.grpcStatus, response.grpcMessage);
  const isHeaderAsked = (name: string): boolean => holds(request.headers, name);
  return {
    common: {
      // The addresses and start_time: they tell connections apart that have no stream_id, and whether a connection is
      // older than what is remembered of connections.
      2: want.delimited, // downstream_remote_address
      3: want.delimited, // downstream_local_address
      4: text(isPeerAsked || asked(connection.mtls, connection.serverName, connection.tlsVersion)), // tls_properties
      5: want.delimited, // start_time
      7: text(asked(upstream.duration)), // time_to_first_upstream_tx_byte
      9: text(asked(response.time)), // time_to_first_upstream_rx_byte
      10: text(isWholeAsked || asked(upstream.duration)), // time_to_last_upstream_rx_byte
      11: text(asked(response.time)), // time_to_first_downstream_tx_byte
      12: text(isWholeAsked), // time_to_last_downstream_tx_byte
      13: text(asked(upstream.ip, upstream.port)), // upstream_remote_address
      // upstream_cluster: it tells the direction, and so which workload is whose.
      15: want.delimited,
      16: text(asked(context.proxyErrorCode)), // response_flags
      17: text(slots.readsMetadata), // metadata
      18: text(asked(upstream.failure)), // upstream_transport_failure_reason
      19: text(asked(upstream.route)), // route_name
      20: want.delimited, // downstream_direct_remote_address
      21: all(isPeerAsked || asked(request.messages, response.messages)), // filter_state_objects
      22: want.repeated, // custom_tags
      // duration: only an end has one.
      23: want.delimited,
      24: number(asked(upstream.attempts)), // upstream_request_attempt_count
      25: text(asked(connection.terminationDetails)), // connection_termination_details
      26: want.delimited, // stream_id
      27: want.varint, // intermediate_log_entry
      33: want.varint, // access_log_type
    },
    request: {
      1: number(asked(request.method)), // request_method
      2: text(asked(request.scheme)), // scheme
      3: text(asked(request.host)), // authority
      5: text(asked(request.path)), // path
      6: text(asked(request.useragent) || isHeaderAsked("user-agent")), // user_agent
      7: text(asked(request.referer) || isHeaderAsked("referer")), // referer
      8: text(isHeaderAsked("x-forwarded-for")), // forwarded_for
      9: text(asked(request.id) || isHeaderAsked("x-request-id")), // request_id
      10: text(asked(request.path)), // original_path
      11: number(asked(request.totalSize)), // request_headers_bytes
      12: number(asked(request.size, request.totalSize)), // request_body_bytes
      13: all(isGrpcAsked || request.headers !== undefined), // request_headers
    },
    response: {
      1: text(asked(response.code)), // response_code
      2: number(asked(response.totalSize)), // response_headers_bytes
      3: number(asked(response.size, response.totalSize)), // response_body_bytes
      4: all(isGrpcAsked || response.headers !== undefined), // response_headers
      5: all(isGrpcAsked || response.trailers !== undefined), // response_trailers
      6: text(asked(response.codeDetails)), // response_code_details
    },
  };
}

function holds(map: MapSlots | undefined, key: string): boolean {
  return map !== undefined && (map.isWhole || map.keys.has(key));
}

import { countersLua } from "./counters.lua.ts";
import { clockLua } from "./scripts.ts";

/**
 * Lets more units be taken, or leased, of a count whose units hubs take ahead, until a time.
 *
 * KEYS: the count. ARGV: the time or "", algorithm, amount, window, burst, units (0: none any more), until when (ms).
 *
 * What was granted lies among the leases, under the number 0, which no lease has. The state and the leases stay as they
 * are: a lease that has ended is counted by the next draw, at its end.
 */
export const grantLeasesScript = `
${countersLua}
${clockLua}
local c = counterOf(ARGV[2])
local units, till = tonumber(ARGV[6]), tonumber(ARGV[7])
local held = redis.call('GET', KEYS[1]) or string.rep(string.char(0), c.width * 8)
local parts = { string.sub(held, 1, c.width * 8) }
for at = c.width * 8 + 1, #held, 40 do
  if struct.unpack('>d', held, at) ~= 0 then parts[#parts + 1] = string.sub(held, at, at + 39) end
end
local granted = units > 0 and till > now
if granted then parts[#parts + 1] = struct.pack('>ddddd', 0, units, 0, 0, till) end
local left = redis.call('PTTL', KEYS[1])
if left < 0 and not granted then return 0 end
local ttl = max(left, granted and ceil(till - now) + 1000 or 0)
redis.call('SET', KEYS[1], table.concat(parts), 'PX', ARGV[1] ~= '' and 3600000 or min(ttl, 1e14))
return 0
`;

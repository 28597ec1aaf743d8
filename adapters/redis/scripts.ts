import { countersLua } from "./counters.lua.ts";
import { holdsLua } from "./holds.lua.ts";
import { sharesLua } from "./shares.lua.ts";

/** Redis's own clock, in milliseconds with a fraction, unless a test hands in a time. */
export const clockLua = `
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + t[2] / 1000
end
`;

/**
 * Gives units back.
 *
 * KEYS: as for `takeScript`, without lists. ARGV: the time or ""; then for each charge: algorithm, amount, window,
 * burst, units, which keys follow its counter. A counter that is gone needs nothing back.
 */
export const refundScript = `
${countersLua}
${clockLua}
local k, a = 1, 2
while a <= #ARGV do
  local c = counterOf(ARGV[a])
  local l = limit(a)
  local key = KEYS[k]
  k = k + 1
  local follows = tonumber(ARGV[a + 5])
  while follows > 0 do
    redis.call('DEL', KEYS[k])
    k = k + 1
    follows = follows - (follows >= 2 and 2 or 1)
  end
  local held = redis.call('GET', key)
  if held then
    local s = read(held, c)
    local extra = raise(l, c, held, now)
    c.available(s, l, now)
    c.back(s, l, now, tonumber(ARGV[a + 4]))
    write(key, s, c, l, now, extra)
  end
  a = a + 6
end
return 0
`;

/**
 * Changes what one charge of a decision took, where it is held still.
 *
 * KEYS: the record, the counter. ARGV: the time or "", algorithm, amount, window, burst; then the decision's id, what to
 * do (`release`, `renew`, `refund` or `end`) and a number: how long the lease is to last, how many units are to be given
 * back at most, how many were used; "" where there is none.
 * Answers nothing where nothing is held, else units given back and, after `renew`, how long the lease lasts, as texts.
 */
export const changeScript = `
${countersLua}
${clockLua}
${holdsLua}
local l, c = limit(2), counterOf(ARGV[2])
local id, kind, number = ARGV[6], ARGV[7], tonumber(ARGV[8])
local held = redis.call('GET', KEYS[1])
if not held then return false end
local units, gone, till = struct.unpack('>ddd', held)
if till <= now or not isOf(held, id) then return false end
local counter = redis.call('GET', KEYS[2])
local s = read(counter, c)
local extra = raise(l, c, counter, now)
c.available(s, l, now)
local answer
if kind == 'renew' then
  gone = c.renew(s, l, now, units, gone, number)
  if not gone then return false end
  redis.call('SET', KEYS[1], struct.pack('>ddd', units, gone, gone) .. string.sub(held, 25), 'PX', lasting(gone - now))
  answer = { text(units), text(gone - now) }
else
  local back = units
  if kind == 'refund' then back = min(units, number or units) end
  if kind == 'end' and ARGV[2] ~= 'l' then back = units - number end
  if back >= 0 then back = c.restore(s, l, now, back, gone) else c.take(s, l, now, -back) end
  redis.call('DEL', KEYS[1])
  answer = { text(back) }
end
write(KEYS[2], s, c, l, now, extra)
return answer
`;

/** Lists a charge that is held under its decision. KEYS: the list. ARGV: the entry, for how long (ms). */
export const listScript = `
${countersLua}
local now = 0
${holdsLua}
list(KEYS[1], ARGV[1], tonumber(ARGV[2]))
return 0
`;

/** Keeps a list longer. KEYS: the list. ARGV: for how long at least (ms). */
export const prolongScript = `
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 0
`;

/**
 * Says that a hub is there.
 *
 * KEYS: a sorted set of hubs by when they were last there. ARGV: the hub, how long one is remembered (ms). Answers how
 * many are remembered.
 */
export const attendScript = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
`;

/**
 * Tells what is taken of counters of one limit, and changes nothing.
 *
 * KEYS: counters. ARGV: the time or "", algorithm, amount, window, burst. Answers two whole numbers a key: units that are
 * taken, milliseconds until none is.
 */
export const usageScript = `
${countersLua}
${clockLua}
local c, l = counterOf(ARGV[2]), limit(2)
local answer = {}
for i, key in ipairs(KEYS) do
  local held = redis.call('GET', key)
  local s = read(held, c)
  local available = c.available(s, l, now)
  answer[i * 2 - 1] = ceil(max(0, c.capacity(l) - available))
  answer[i * 2] = held and c.reset(s, l, now) or 0
end
return answer
`;

/**
 * Lets more units be taken of a counter until a time.
 *
 * KEYS: the counter. ARGV: the time or "", algorithm, amount, window, burst, units (0: none any more), until when (ms).
 */
export const grantScript = `
${countersLua}
${clockLua}
local c, l = counterOf(ARGV[2]), limit(2)
local units, till = tonumber(ARGV[6]), tonumber(ARGV[7])
local s = read(redis.call('GET', KEYS[1]), c)
c.available(s, l, now)
write(KEYS[1], s, c, l, now, units > 0 and till > now and { units, till } or nil)
return 0
`;

/** A hub's share of a budget, as {@link sharesLua} tells. */
export const shareScript = `
${clockLua}
${sharesLua}
`;

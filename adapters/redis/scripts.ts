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
 * Takes several charges, all or nothing.
 *
 * KEYS: for each charge the counter, then, if it has one, its deduplication id; if it is held, its record; if that is to
 * be listed here, the list of its decision.
 * ARGV: the time or "", how long deduplication ids are remembered (ms; those of units spent already longer); then for each charge: algorithm, amount, window
 * (ms), burst, units wanted, units that must be there, how (0 all of it, 1 best effort, 2 spent already), which keys
 * follow its counter (1: the deduplication id, 2: the record, 4: the list; added). Where it is held there follow: the
 * decision's id, for how long (ms), and its entry in the list.
 * Answers five whole numbers a charge: the outcome (0 refused, 1 granted, 2 repeated), units granted, units remaining,
 * milliseconds until reset, milliseconds until a retry makes sense (-1: never).
 *
 * A script that is refused writes nothing. Redis runs a script whole or not at all, so nobody sees half of it.
 */
export const takeScript = `
${countersLua}
${clockLua}
${holdsLua}
local function whole(available, capacity)
  if available <= 0 then return 0 end
  return floor(available + capacity * 1e-9)
end

local charges, states, packed, order, extras = {}, {}, {}, {}, {}
local k, a, refused = 1, 3, false
while a <= #ARGV do
  local c = counters[ARGV[a]]
  local l = limit(a)
  local charge = { c = c, l = l, key = KEYS[k], wanted = tonumber(ARGV[a + 4]), needed = tonumber(ARGV[a + 5]), some = ARGV[a + 6] == '1', spent = ARGV[a + 6] == '2' }
  k = k + 1
  local follows = tonumber(ARGV[a + 7])
  if follows % 2 == 1 then
    charge.id = KEYS[k]
    k = k + 1
  end
  if follows >= 2 then
    charge.hold = { record = KEYS[k], id = ARGV[a + 8], lasts = tonumber(ARGV[a + 9]), entry = ARGV[a + 10], lease = ARGV[a] == 'l' }
    k = k + 1
    a = a + 3
    if follows >= 4 then
      charge.hold.list = KEYS[k]
      k = k + 1
    end
  end
  a = a + 8
  charges[#charges + 1] = charge
  local before = charge.id and redis.call('GET', charge.id)
  if before then
    local granted, remaining, reset = struct.unpack('>ddd', before)
    charge.answer = { 2, granted, remaining, reset, -1 }
  else
    local s = states[charge.key]
    if not s then
      local held = redis.call('GET', charge.key)
      packed[charge.key] = held
      s = read(held, c.width)
      states[charge.key] = s
    end
    extras[charge.key] = raise(l, c, packed[charge.key], now)
    local capacity = c.capacity(l)
    local available = c.available(s, l, now)
    local needed, taken = charge.needed, -1
    if needed == 0 then
      taken = 0
    elseif charge.spent or (needed <= available + capacity * 1e-9 and needed <= capacity) then
      taken = charge.wanted
    elseif charge.some then
      local rest = whole(available, capacity)
      if rest > 0 then taken = min(rest, charge.wanted) end
    end
    if taken < 0 then
      refused = true
      local wait = -1
      if needed <= capacity or charge.some then
        wait = c.wait(s, l, now, charge.some and min(1, needed, capacity) or needed)
      end
      charge.answer = { 0, 0, whole(available, capacity), c.reset(s, l, now), wait }
    else
      if taken > 0 then
        c.take(s, l, now, taken)
        order[charge.key] = charge
      end
      charge.answer = { 1, taken, whole(available - taken, capacity), c.reset(s, l, now), -1 }
    end
  end
end

local answer = {}
if refused and #charges > 1 then
  -- Nothing is spent: each answer says what is there now, and for a refusal when all of the batch could be.
  local earlier = {}
  for _, charge in ipairs(charges) do
    local was, c, l = charge.answer, charge.c, charge.l
    if was[1] ~= 2 then
      local s = read(packed[charge.key], c.width)
      local capacity = c.capacity(l)
      local available = c.available(s, l, now)
      local reset, sum = c.reset(s, l, now), earlier[charge.key] or 0
      if was[1] == 1 then
        earlier[charge.key] = sum + was[2]
        charge.answer = { 1, 0, whole(available, capacity), reset, -1 }
      else
        earlier[charge.key] = sum + charge.wanted
        local needed = sum + (charge.some and min(1, charge.needed) or charge.needed)
        charge.answer = { 0, 0, whole(available, capacity), reset, needed > capacity and -1 or c.wait(s, l, now, needed) }
      end
    end
  end
elseif not refused then
  for key, charge in pairs(order) do write(key, states[key], charge.c, charge.l, now, extras[key]) end
  for _, charge in ipairs(charges) do
    local r = charge.answer
    if charge.id and r[1] == 1 and charge.wanted > 0 then
      local kept = charge.spent and max(ARGV[2], believed(charge.c, charge.l, r[4])) or ARGV[2]
      redis.call('SET', charge.id, struct.pack('>ddd', r[2], r[3], r[4]), 'PX', kept)
    end
    if charge.hold then remember(charge, states[charge.key]) end
  end
end
for _, charge in ipairs(charges) do
  for i = 1, 5 do answer[#answer + 1] = charge.answer[i] end
end
return answer
`;

/**
 * Gives units back.
 *
 * KEYS: as for {@link takeScript}, without lists. ARGV: the time or ""; then for each charge: algorithm, amount, window,
 * burst, units, which keys follow its counter. A counter that is gone needs nothing back.
 */
export const refundScript = `
${countersLua}
${clockLua}
local k, a = 1, 2
while a <= #ARGV do
  local c = counters[ARGV[a]]
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
    local s = read(held, c.width)
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
local l, c = limit(2), counters[ARGV[2]]
local id, kind, number = ARGV[6], ARGV[7], tonumber(ARGV[8])
local held = redis.call('GET', KEYS[1])
if not held then return false end
local units, gone, till = struct.unpack('>ddd', held)
if till <= now or not isOf(held, id) then return false end
local counter = redis.call('GET', KEYS[2])
local s = read(counter, c.width)
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
local c, l = counters[ARGV[2]], limit(2)
local answer = {}
for i, key in ipairs(KEYS) do
  local held = redis.call('GET', key)
  local s = read(held, c.width)
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
local c, l = counters[ARGV[2]], limit(2)
local units, till = tonumber(ARGV[6]), tonumber(ARGV[7])
local s = read(redis.call('GET', KEYS[1]), c.width)
c.available(s, l, now)
write(KEYS[1], s, c, l, now, units > 0 and till > now and { units, till } or nil)
return 0
`;

/** A hub's share of a budget, as {@link sharesLua} tells. */
export const shareScript = `
${clockLua}
${sharesLua}
`;

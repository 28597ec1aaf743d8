import { countersLua } from "./counters.lua.ts";

/** Redis's own clock, in milliseconds with a fraction, unless a test hands in a time. */
const clockLua = `
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + t[2] / 1000
end
`;

/**
 * Takes several charges, all or nothing.
 *
 * KEYS: for each charge the counter, then, if it has one, its deduplication id.
 * ARGV: the time or "", how long deduplication ids are remembered (ms); then for each charge: algorithm, amount, window
 * (ms), burst, units wanted, units that must be there, best effort (0 or 1), whether a deduplication key follows its
 * counter (0 or 1).
 * Answers five whole numbers a charge: the outcome (0 refused, 1 granted, 2 repeated), units granted, units remaining,
 * milliseconds until reset, milliseconds until a retry makes sense (-1: never).
 *
 * A script that is refused writes nothing. Redis runs a script whole or not at all, so nobody sees half of it.
 */
export const takeScript = `
${countersLua}
${clockLua}
local function whole(available, capacity)
  if available <= 0 then return 0 end
  return floor(available + capacity * 1e-9)
end

local charges, states, packed, order = {}, {}, {}, {}
local k, a, refused = 1, 3, false
while a <= #ARGV do
  local c = counters[ARGV[a]]
  local l = limit(a)
  local charge = { c = c, l = l, key = KEYS[k], wanted = tonumber(ARGV[a + 4]), needed = tonumber(ARGV[a + 5]), some = ARGV[a + 6] == '1' }
  k = k + 1
  if ARGV[a + 7] == '1' then
    charge.id = KEYS[k]
    k = k + 1
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
    local capacity = c.capacity(l)
    local available = c.available(s, l, now)
    local needed, taken = charge.needed, -1
    if needed == 0 then
      taken = 0
    elseif needed <= available + capacity * 1e-9 and needed <= capacity then
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
  for key, charge in pairs(order) do write(key, states[key], charge.c, charge.l, now) end
  for _, charge in ipairs(charges) do
    local r = charge.answer
    if charge.id and r[1] == 1 and charge.wanted > 0 then
      redis.call('SET', charge.id, struct.pack('>ddd', r[2], r[3], r[4]), 'PX', ARGV[2])
    end
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
 * KEYS: as for {@link takeScript}. ARGV: the time or ""; then for each charge: algorithm, amount, window, burst, units,
 * whether a deduplication key follows its counter. A counter that is gone needs nothing back.
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
  if ARGV[a + 5] == '1' then
    redis.call('DEL', KEYS[k])
    k = k + 1
  end
  local held = redis.call('GET', key)
  if held then
    local s = read(held, c.width)
    c.available(s, l, now)
    c.back(s, l, now, tonumber(ARGV[a + 4]))
    write(key, s, c, l, now)
  end
  a = a + 6
end
return 0
`;

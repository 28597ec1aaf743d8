import { chargeFormat } from "./charge-record.ts";
import { countersLua } from "./counters.lua.ts";
import { holdsLua } from "./holds.lua.ts";
import { clockLua } from "./scripts.ts";

/**
 * Judges decisions one after the other. Each takes its charges all or nothing.
 *
 * KEYS: for each charge the counter, then, if it has one, its deduplication id; if it is held, its record; if that is to
 * be listed here, the list of its decision.
 * ARGV: the time or "", how long deduplication ids are remembered (ms; those of units spent already longer), and the
 * charges as {@link chargeFormat} says. Then for each charge what has no fixed length: of a calendar its windows; where it
 * is held the decision's id, for how long (ms), and its entry in the list.
 * Answers five whole numbers a charge: the outcome (0 refused, 1 granted, 2 repeated), units granted, units remaining,
 * milliseconds until reset, milliseconds until a retry makes sense (-1: never). Where what lies under a key is no counter,
 * the outcome of each charge of that decision is a text that says so; the other decisions do not suffer by it.
 *
 * A decision that is refused writes nothing, unless the clock was set back. Redis runs a script whole or not at all, so nobody sees half of it.
 */
export const takeScript = `
${countersLua}
${clockLua}
local function whole(available, capacity)
  if available <= 0 then return 0 end
  return floor(available + capacity * 1e-9)
end

-- Takes from a state what a charge gets of it, and answers the five numbers.
local function judge(c, l, s, wanted, needed, how)
  local capacity = c.capacity(l)
  local available = c.available(s, l, now)
  local taken = -1
  if needed == 0 then
    taken = 0
  elseif how == 2 or (needed <= available + capacity * 1e-9 and needed <= capacity) then
    taken = wanted
  elseif how == 1 then
    local rest = whole(available, capacity)
    if rest > 0 then taken = min(rest, wanted) end
  end
  if taken < 0 then
    local wait = -1
    if needed <= capacity or how == 1 then
      wait = c.wait(s, l, now, how == 1 and min(1, needed, capacity) or needed)
    end
    return 0, 0, whole(available, capacity), c.reset(s, l, now), wait
  end
  if taken > 0 then c.take(s, l, now, taken) end
  return 1, taken, whole(available - taken, capacity), c.reset(s, l, now), -1
end

local answer, answered = {}, 0
local function tell(outcome, granted, remaining, reset, wait)
  answer[answered + 1], answer[answered + 2], answer[answered + 3] = outcome, granted, remaining
  answer[answered + 4], answer[answered + 5] = reset, wait
  answered = answered + 5
end

-- A decision of one charge whose counter is all that it touches.
local function takeOne(key, c, l, wanted, needed, how)
  local held = redis.call('GET', key)
  local s = read(held, c)
  local extra = raise(l, c, held, now)
  local outcome, taken, remaining, reset, wait = judge(c, l, s, wanted, needed, how)
  if taken > 0 or s.setBack then write(key, s, c, l, now, extra) end
  tell(outcome, taken, remaining, reset, wait)
end

-- Any other. Made when one comes, as the counters are.
local takeAll
local function newTakeAll()
  ${holdsLua}
  return function(charges)
    local states, packed, order, extras = {}, {}, {}, {}
    local refused = false
    for _, charge in ipairs(charges) do
      local c, l = charge.c, charge.l
      local before = charge.id and redis.call('GET', charge.id)
      if before then
        local granted, remaining, reset = struct.unpack('>ddd', before)
        charge.answer = { 2, granted, remaining, reset, -1 }
      else
        local s = states[charge.key]
        if not s then
          local held = redis.call('GET', charge.key)
          packed[charge.key] = held
          s = read(held, c)
          states[charge.key] = s
        end
        extras[charge.key] = raise(l, c, packed[charge.key], now)
        charge.answer = { judge(c, l, s, charge.wanted, charge.needed, charge.how) }
        if charge.answer[1] == 0 then
          refused = true
        elseif charge.answer[2] > 0 or s.setBack then
          order[charge.key] = charge
        end
      end
    end

    if refused and #charges > 1 then
      -- Nothing is spent: each answer says what is there now, and for a refusal when all of the batch could be.
      local earlier = {}
      for _, charge in ipairs(charges) do
        local was, c, l = charge.answer, charge.c, charge.l
        if was[1] ~= 2 then
          local s = read(packed[charge.key], c)
          local capacity = c.capacity(l)
          local available = c.available(s, l, now)
          if s.setBack then write(charge.key, s, c, l, now, extras[charge.key]) end
          local reset, sum = c.reset(s, l, now), earlier[charge.key] or 0
          if was[1] == 1 then
            earlier[charge.key] = sum + was[2]
            charge.answer = { 1, 0, whole(available, capacity), reset, -1 }
          else
            earlier[charge.key] = sum + charge.wanted
            local needed = sum + (charge.how == 1 and min(1, charge.needed) or charge.needed)
            charge.answer = { 0, 0, whole(available, capacity), reset, needed > capacity and -1 or c.wait(s, l, now, needed) }
          end
        end
      end
    elseif refused then
      local charge = charges[1]
      local s = states[charge.key]
      if s.setBack then write(charge.key, s, charge.c, charge.l, now, extras[charge.key]) end
    else
      for key, charge in pairs(order) do write(key, states[key], charge.c, charge.l, now, extras[key]) end
      for _, charge in ipairs(charges) do
        local r = charge.answer
        if charge.id and r[1] == 1 and charge.wanted > 0 then
          local kept = charge.how == 2 and max(ARGV[2], believed(charge.c, charge.l, r[4])) or ARGV[2]
          redis.call('SET', charge.id, struct.pack('>ddd', r[2], r[3], r[4]), 'PX', kept)
        end
        if charge.hold then remember(charge, states[charge.key]) end
      end
    end
    for _, charge in ipairs(charges) do tell(unpack(charge.answer)) end
  end
end

-- Whether a fault says that what lies under a key is no counter: another type, too short, or numbers that no counter has,
-- with which Lua cannot reckon, or of which no lifetime comes.
local function isOfKey(said)
  for _, part in ipairs({ 'WRONGTYPE', 'data string too short', 'attempt to ', 'not an integer', 'invalid expire' }) do
    if string.find(said, part, 1, true) then return true end
  end
  return false
end

local records, at, k, v = ARGV[3], 1, 1, 4
while at <= #records do
  local charges, count, i, ok, fault = nil, 1, 1, nil, nil
  repeat
    local algorithm, how, follows, of, amount, window, burst, wanted, needed, after =
      struct.unpack('${chargeFormat}', records, at)
    local c, l, key = counterOf(algorithm), { amount = amount, window = window, burst = burst }, KEYS[k]
    at, count, k = after, of, k + 1
    if algorithm == 'c' then
      readWindows(l, ARGV[v])
      v = v + 1
    end
    if count == 1 and follows == 0 then
      ok, fault = pcall(takeOne, key, c, l, wanted, needed, how)
    else
      local charge = { c = c, l = l, key = key, wanted = wanted, needed = needed, how = how }
      if follows % 2 == 1 then
        charge.id = KEYS[k]
        k = k + 1
      end
      if follows >= 2 then
        charge.hold = { record = KEYS[k], id = ARGV[v], lasts = tonumber(ARGV[v + 1]), entry = ARGV[v + 2], lease = algorithm == 'l' }
        k, v = k + 1, v + 3
      end
      if follows >= 4 then
        charge.hold.list = KEYS[k]
        k = k + 1
      end
      charges = charges or {}
      charges[i] = charge
    end
    i = i + 1
  until i > count
  if charges then
    takeAll = takeAll or newTakeAll()
    ok, fault = pcall(takeAll, charges)
  end
  if not ok then
    -- A fault of the server, such as that it is read-only, is told as its own: nothing was written.
    local said = type(fault) == 'table' and fault.err or fault
    if not isOfKey(said) then error(fault, 0) end
    for _ = 1, count do tell(said, 0, 0, 0, 0) end
  end
end
return answer
`;

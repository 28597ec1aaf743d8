import { countersLua } from "./counters.lua.ts";
import { clockLua } from "./scripts.ts";

/**
 * Draws on one count whose units hubs take ahead: judges one charge and gives the asking hub a lease.
 *
 * KEYS: the count. Its value is the state of the algorithm and, behind it, a lease for each hub that has one: the number
 * that names it, units leased, units told as used and units returned since it began, and when it ends. What people
 * granted beyond the limit is one more of them, under the number 0: units, and until when. Then, if the charge has one,
 * its deduplication id.
 * ARGV: the time or ""; algorithm, amount, window (ms), burst; units wanted, units that must be there, how (0: all or
 * nothing, 1: best effort, 2: whatever is there); units given back of what was granted earlier; the lease's number or 0;
 * units used, used as far as the hub has had an answer to, and returned, since the lease began; units wanted for the
 * lease; how long it lasts (ms).
 * Answers: the outcome (0 refused, 1 granted), units granted, units free after that, milliseconds until everything would
 * be free, milliseconds until a retry makes sense (-1: never), units leased since the lease began, milliseconds for which
 * the lease is good, units that other hubs hold, units that people granted beyond the limit.
 *
 * The rule that nothing breaks: what the algorithm counts and what is leased and not told as used or returned are
 * together within the limit. A unit is counted when its use is told, or when its lease ends, and so never before it was
 * used. docs/limits.md tells why that is enough.
 *
 * A message may come late, twice, after younger ones or never: what a hub tells of a lease are sums since it began, of
 * which the largest holds.
 */
export const drawScript = `
${countersLua}
${clockLua}
local width = 5
local number, leased, used, returned, ends = 1, 2, 3, 4, 5
local maxLeases = 256

local c, l = counterOf(ARGV[2]), limit(2)
local wanted, needed, how, back = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
local id, usedNow, usedKnown, returnedNow = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local share, lasting = tonumber(ARGV[14]), tonumber(ARGV[15])

if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 1 then wanted, needed = 0, 0 end
local held = redis.call('GET', KEYS[1])
local s = read(held, c)
local leases, over, extra = {}, {}, nil
if held then
  for at = c.width * 8 + 1, #held, width * 8 do
    local lease = { struct.unpack('>ddddd', held, at) }
    if lease[number] ~= 0 then
      local list = lease[ends] <= now and over or leases
      list[#list + 1] = lease
    elseif lease[ends] > now then
      extra = lease
    end
  end
end
if extra then
  if c.drains then l.burst = l.burst + extra[leased] else l.amount = l.amount + extra[leased] end
end
local function out(lease) return max(0, lease[leased] - lease[used] - lease[returned]) end

-- A lease that has ended counts as used up, at its end. With the window that it was of, it is nothing any more.
table.sort(over, function(a, b) return a[ends] < b[ends] end)
for _, lease in ipairs(over) do
  local rest = out(lease)
  if rest > 0 and not (c.windowEnd and lease[ends] >= c.windowEnd(s)) then
    c.available(s, l, lease[ends])
    c.take(s, l, lease[ends], rest)
  end
end
c.available(s, l, now)

local mine
if id ~= 0 then
  for _, lease in ipairs(leases) do
    if lease[number] == id then mine = lease end
  end
  if mine then
    if usedNow > mine[used] then
      c.take(s, l, now, usedNow - mine[used])
      mine[used] = usedNow
    end
    mine[returned] = max(mine[returned], returnedNow)
  elseif not held and usedNow > usedKnown then
    -- Redis has lost the count: what the hub has used meanwhile is not forgotten.
    c.take(s, l, now, usedNow - usedKnown)
  end
end
if back > 0 then c.back(s, l, now, back) end

local capacity = c.capacity(l)
local outstanding, first = 0, math.huge
for _, lease in ipairs(leases) do
  outstanding = outstanding + out(lease)
  if out(lease) > 0 then first = min(first, lease[ends]) end
end
local free = c.available(s, l, now) - outstanding
local function whole(units) return floor(units + capacity * 1e-9) end
-- While other hubs hold units, nobody knows when they return them; at the latest when the first lease ends.
local function waitFor(units)
  if units + outstanding <= capacity then return c.wait(s, l, now, units + outstanding) end
  return max(1, ceil(first - now))
end

local outcome, taken, wait = 1, 0, -1
if how == '2' then taken = wanted
elseif needed == 0 then taken = 0
elseif needed <= free + capacity * 1e-9 and needed <= capacity then taken = wanted
elseif how == '1' and whole(free) > 0 then taken = min(whole(free), wanted)
else
  outcome = 0
  if how == '1' then wait = waitFor(min(1, needed, capacity))
  elseif needed <= capacity then wait = waitFor(needed) end
end
if taken > 0 then
  c.take(s, l, now, taken)
  free = free - taken
  if KEYS[2] then redis.call('SET', KEYS[2], '', 'PX', believed(c, l, c.reset(s, l, now))) end
end

local lease = 0
if share > 0 and (mine or #leases < maxLeases) then
  local holders = #leases + (mine and 0 or 1)
  lease = max(0, min(share, floor(free / (2 * holders)), floor(capacity / 2 - outstanding)))
  if lease == 0 and outcome == 1 then wait = waitFor(1) end
end
local good = c.windowEnd and min(lasting, c.windowEnd(s) - now) or lasting
-- Units of a lease may be some of those that people granted, which end with the grant.
if extra then good = min(good, extra[ends] - now) end
local total = usedNow + returnedNow
if id ~= 0 then
  if mine then
    mine[leased] = mine[leased] + lease
  else
    mine = { id, total + lease, usedNow, returnedNow, 0 }
    leases[#leases + 1] = mine
  end
  mine[ends] = max(mine[ends], now + good)
  total = mine[leased]
  free = free - lease
  outstanding = outstanding + lease
end

local others = outstanding - (mine and out(mine) or 0)
if taken > 0 or back > 0 or id ~= 0 or s.setBack then
  local parts, last = { struct.pack(c.format, unpack(s)) }, now
  for _, each in ipairs(leases) do
    if out(each) > 0 then
      parts[#parts + 1] = struct.pack('>ddddd', unpack(each))
      last = max(last, each[ends])
    end
  end
  if extra then
    parts[#parts + 1] = struct.pack('>ddddd', unpack(extra, 1, width))
    last = max(last, extra[ends])
  end
  if outstanding > 0 then c.take(s, l, now, outstanding) end
  local ttl = ARGV[1] ~= '' and 3600000 or min(ceil(c.reset(s, l, now) + last - now) + 1000, 1e14)
  redis.call('SET', KEYS[1], table.concat(parts), 'PX', ttl)
elseif outstanding > 0 then
  c.take(s, l, now, outstanding)
end
free = how == '2' and whole(free) or max(0, whole(free))
return { outcome, taken, free, c.reset(s, l, now), wait, string.format('%.17g', total), max(0, floor(good)), ceil(others), extra and extra[leased] or 0 }
`;

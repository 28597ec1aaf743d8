/**
 * Divides a budget among the hubs that ask for a part of it.
 *
 * KEYS: the hubs, as a hash. ARGV: the time or "", the hub's name, the budget's rate and burst, what the hub could use
 * (units a second), what it may be using (rate, burst), how long it may use the answer (ms).
 * Answers rate and burst as texts, and 1 where nobody had a part before.
 *
 * Of each hub is kept: what it could use, the rate and burst that it was answered, those that it said to be using, until
 * when. A hub counts by the larger of what it was answered and what it uses, so that neither an answer that is lost nor
 * one that is late lets two have the same part. Rates are divided by max-min fairness, each with a sixteenth of an equal
 * part at least; bursts go with the rates. Where there is less than one unit of burst for each, hubs take turns.
 */
export const sharesLua = `
local floor, max, min = math.floor, math.max, math.min
local key, me = KEYS[1], ARGV[2]
local rate, burst, demand = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local heldRate, heldBurst, ttl = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local turnMs, floorPart, near = 60000, 1 / 16, 1.1

local all = redis.call('HGETALL', key)
local hubs, known = {}, nil
for i = 1, #all, 2 do
  local d, r, b, hr, hb, till = struct.unpack('>dddddd', all[i + 1])
  if all[i] == me then
    known = { r = r, b = b }
  elseif till > now then
    hubs[#hubs + 1] = { name = all[i], demand = d, r = max(r, hr), b = max(b, hb), share = r }
  else
    redis.call('HDEL', key, all[i])
  end
end
local mine = { name = me, demand = demand, share = known and known.r or 0 }
hubs[#hubs + 1] = mine
table.sort(hubs, function(x, y) return x.name < y.name end)

local n, seats = #hubs, #hubs
local freeRate, freeBurst = rate, burst
for i, hub in ipairs(hubs) do
  if hub ~= mine then
    freeRate = freeRate - hub.r
    freeBurst = freeBurst - hub.b
  end
  hub.seated = true
end
if burst < n then
  seats = max(1, floor(burst))
  local first = floor(now / turnMs) % n
  for i, hub in ipairs(hubs) do hub.seated = (i - 1 - first) % n < seats end
end

local wanting = {}
local fair = rate / seats
for _, hub in ipairs(hubs) do
  if hub.seated then
    hub.want = max(hub.demand, (hub == mine and not known) and fair or fair * floorPart)
    wanting[#wanting + 1] = hub
  end
  hub.part = 0
end
table.sort(wanting, function(x, y)
  if x.want ~= y.want then return x.want < y.want end
  return x.name < y.name
end)
local left = rate
for i, hub in ipairs(wanting) do
  hub.part = min(hub.want, left / (#wanting - i + 1))
  left = max(0, left - hub.part)
end
for _, hub in ipairs(wanting) do hub.part = hub.part + left / #wanting end

local lacking = false
for _, hub in ipairs(hubs) do
  if hub ~= mine and hub.seated and hub.demand > hub.share and hub.part > hub.share * near then lacking = true end
end
local part = mine.part
-- A small difference is not worth a change, unless somebody waits for it.
if mine.seated and known and not lacking and known.r > 0 and part < known.r * near and known.r < part * near then part = known.r end
local least = min(1, burst / seats)
local burstPart = 0
if mine.seated then
  burstPart = least + (rate > 0 and (burst - least * seats) * min(1, part / rate) or 0)
end
local given = max(0, min(part, freeRate))
local givenBurst = max(0, min(burstPart, freeBurst))
redis.call('HSET', key, me, struct.pack('>dddddd', demand, given, givenBurst, heldRate, heldBurst, now + ttl))
-- When nobody is left, the key stays until the burst would be there again.
redis.call('PEXPIRE', key, floor(min(1e12, ttl + (rate > 0 and burst * 1000 / rate or 0))) + 1000)
return { string.format('%.17g', given), string.format('%.17g', givenBurst), #all == 0 and 1 or 0 }
`;

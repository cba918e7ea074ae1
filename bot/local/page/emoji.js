// Emoji by short code. Those that carry a verdict are drawn (emoji.svg), so that they look the same, and
// look at all, on a machine without an emoji font; the character itself stays in the text for copying.

import { drawing, h } from "./dom.js";

const TABLE = `
white_check_mark ✅|heavy_check_mark ✔️|ballot_box_with_check ☑️|x ❌|negative_squared_cross_mark ❎|warning ⚠️
red_circle 🔴|large_orange_circle 🟠|large_yellow_circle 🟡|large_green_circle 🟢|large_blue_circle 🔵|large_purple_circle 🟣
white_circle ⚪|black_circle ⚫|hourglass_flowing_sand ⏳|hourglass ⌛|mag 🔍|mag_right 🔎|rotating_light 🚨|memo 📝|pencil 📝
pencil2 ✏️|pushpin 📌|round_pushpin 📍|repeat 🔁|arrows_counterclockwise 🔄|page_facing_up 📄|page_with_curl 📃|lock 🔒|unlock 🔓
closed_lock_with_key 🔐|key 🔑|old_key 🗝️|shield 🛡️|no_entry ⛔|no_entry_sign 🚫|octagonal_sign 🛑|information_source ℹ️
question ❓|grey_question ❔|exclamation ❗|grey_exclamation ❕|bangbang ‼️|eyes 👀|eye 👁️|wave 👋|handshake 🤝|point_right 👉
point_left 👈|point_up ☝️|point_down 👇|+1 👍|thumbsup 👍|-1 👎|thumbsdown 👎|ok_hand 👌|clap 👏|raised_hands 🙌|pray 🙏
muscle 💪|tada 🎉|sparkles ✨|star ⭐|star2 🌟|fire 🔥|boom 💥|zap ⚡|bulb 💡|wrench 🔧|hammer 🔨|hammer_and_wrench 🛠️|gear ⚙️
nut_and_bolt 🔩|link 🔗|chains ⛓️|paperclip 📎|clipboard 📋|file_folder 📁|open_file_folder 📂|card_index_dividers 🗂️
floppy_disk 💾|package 📦|inbox_tray 📥|outbox_tray 📤|mailbox 📫|email 📧|envelope ✉️|bar_chart 📊
chart_with_upwards_trend 📈|chart_with_downwards_trend 📉|calendar 📅|date 📅|spiral_calendar_pad 🗓️|alarm_clock ⏰
stopwatch ⏱️|timer_clock ⏲️|clock1 🕐|clock3 🕒|clock9 🕘|watch ⌚|bell 🔔|no_bell 🔕|mega 📣|loudspeaker 📢|speech_balloon 💬
thought_balloon 💭|left_speech_bubble 🗨️|bookmark 🔖|label 🏷️|triangular_flag_on_post 🚩|checkered_flag 🏁|dart 🎯
rocket 🚀|ship 🚢|construction 🚧|ambulance 🚑|fire_engine 🚒|globe_with_meridians 🌐|earth_africa 🌍|earth_americas 🌎
earth_asia 🌏|satellite_antenna 📡|electric_plug 🔌|battery 🔋|computer 💻|desktop_computer 🖥️|keyboard ⌨️|iphone 📱
robot_face 🤖|ghost 👻|skull 💀|bug 🐛|turtle 🐢|snail 🐌|rabbit 🐰|dog 🐶|cat 🐱|owl 🦉|coffee ☕|beer 🍺|pizza 🍕|cake 🍰
smile 😄|slightly_smiling_face 🙂|grinning 😀|joy 😂|wink 😉|blush 😊|thinking_face 🤔|neutral_face 😐|confused 😕
disappointed 😞|cry 😢|sob 😭|scream 😱|sweat_smile 😅|sunglasses 😎|sleeping 😴|zzz 💤|face_with_monocle 🧐|facepalm 🤦|shrug 🤷
heart ❤️|green_heart 💚|yellow_heart 💛|blue_heart 💙|broken_heart 💔|100 💯|recycle ♻️|arrow_right ➡️|arrow_left ⬅️
arrow_up ⬆️|arrow_down ⬇️|arrow_forward ▶️|rewind ⏪|fast_forward ⏩|black_square_for_stop ⏹️|double_vertical_bar ⏸️
heavy_plus_sign ➕|heavy_minus_sign ➖|small_red_triangle 🔺|small_blue_diamond 🔹|small_orange_diamond 🔸
large_blue_square 🟦|large_green_square 🟩|large_red_square 🟥|large_yellow_square 🟨|black_small_square ▪️
white_small_square ▫️|scales ⚖️|microscope 🔬|telescope 🔭|test_tube 🧪|scissors ✂️|wastebasket 🗑️|trophy 🏆|medal 🏅
seedling 🌱|sunny ☀️|cloud ☁️|snowflake ❄️|umbrella ☂️|moon 🌔|see_no_evil 🙈|detective 🕵️|busts_in_silhouette 👥
bust_in_silhouette 👤|sos 🆘|new 🆕|up 🆙|ok 🆗|free 🆓|top 🔝|soon 🔜|end 🔚
`;

const CHARACTER = new Map(TABLE.trim().split(/[|\n]/).map((entry) => entry.trim().split(" ")));

// Short codes with a symbol in emoji.svg; several codes may share one.
const DRAWN = new Map([
  ...["white_check_mark", "x", "warning", "red_circle", "large_orange_circle", "large_yellow_circle",
    "large_green_circle", "large_blue_circle", "white_circle", "black_circle", "hourglass_flowing_sand", "mag",
    "rotating_light", "memo", "pushpin", "repeat", "page_facing_up", "lock", "unlock", "eyes", "key", "bell",
    "wave", "link", "no_entry", "information_source", "bulb", "wrench", "zap", "clipboard", "alarm_clock",
    "bar_chart", "calendar", "question", "tada", "+1", "globe_with_meridians", "shield", "stopwatch",
    "package", "zzz", "arrow_right", "double_vertical_bar"].map((name) => [name, name]),
  ["heavy_check_mark", "white_check_mark"], ["hourglass", "hourglass_flowing_sand"], ["mag_right", "mag"],
  ["pencil", "memo"], ["round_pushpin", "pushpin"], ["arrows_counterclockwise", "repeat"],
  ["page_with_curl", "page_facing_up"], ["closed_lock_with_key", "lock"], ["date", "calendar"],
  ["spiral_calendar_pad", "calendar"], ["thumbsup", "+1"], ["no_entry_sign", "no_entry"],
  ["hammer_and_wrench", "wrench"], ["old_key", "key"], ["grey_question", "question"],
]);

const VARIATION = "\uFE0F";
const NAME_OF = new Map();
for (const [name, character] of CHARACTER) {
  if (DRAWN.has(name) && !NAME_OF.has(bare(character))) NAME_OF.set(bare(character), name);
}
const DRAWN_CHARACTERS = new RegExp(`(${[...NAME_OF.keys()].join("|")})${VARIATION}?`, "gu");

function bare(character) {
  return character.replaceAll(VARIATION, "");
}

export const isEmoji = (name) => CHARACTER.has(name);
export const emojiCharacter = (name) => CHARACTER.get(name) ?? `:${name}:`;

/** The emoji of a short code as a node, or null when the page does not know it. */
export function emoji(name) {
  const character = CHARACTER.get(name);
  if (character === undefined) return null;
  const symbol = DRAWN.get(name);
  if (symbol === undefined) return h("span", { class: "emoji", title: `:${name}:` }, character);
  return h("span", { class: "emoji drawn", title: `:${name}:` },
    drawing(symbol), h("span", { class: "emoji-character" }, character));
}

/** Plain text as nodes, its emoji characters drawn where there is a drawing. */
export function withDrawnEmoji(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(DRAWN_CHARACTERS)) {
    if (match.index > from) nodes.push(text.slice(from, match.index));
    nodes.push(emoji(NAME_OF.get(match[1])));
    from = match.index + match[0].length;
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}

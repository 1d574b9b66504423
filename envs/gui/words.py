"""The labels of generated screens, and the phrases instructions are made of. Written for this project."""

from __future__ import annotations

import numpy as np

from rewardscape.envs.gui.vocabulary import ROLES, tokens

# Every icon has one label and every such label one icon (drawn in draw.py under the same index, from 1).
ICONS = (
    "Close", "Menu", "Search", "Add", "Remove", "Delete", "Edit", "Save", "Home", "Back", "Forward", "Up", "Down", "Star",
    "Like", "Play", "Pause", "Stop", "Mail", "Folder", "Document", "Lock", "Profile", "Download", "Upload", "More", "List",
    "Grid", "Calendar", "Clock", "Filter", "Flag", "Confirm", "Cut", "Zoom", "Sound", "Chart", "Pin", "Bell", "Cart",
)  # fmt: skip

ACTION = (
    "Apply", "Cancel", "OK", "Submit", "Continue", "Reset", "Export", "Import", "Print", "Share", "Send", "Reply", "Forward mail",
    "Archive", "Duplicate", "Rename", "Move", "Copy link", "Paste", "Undo", "Redo", "Refresh", "Sync now", "Connect", "Disconnect",
    "Install", "Update", "Uninstall", "Log in", "Log out", "Sign up", "Register", "Subscribe", "Unsubscribe", "Follow", "Unfollow",
    "Block", "Report", "Accept", "Decline", "Approve", "Reject", "Publish", "Preview", "Draft", "Schedule", "Book", "Pay now",
    "Checkout", "Add to cart", "Buy", "Donate", "Compare", "Track order", "Return item", "Start", "Finish", "Skip", "Next", "Previous",
    "Try again", "Learn more", "Get help", "Contact us", "Open file", "New tab", "New window", "Split view", "Full screen", "Record",
    "Mute", "Call", "Answer", "Hang up", "Invite", "Assign", "Merge", "Commit", "Push", "Pull", "Run", "Debug", "Build", "Deploy",
    "Test", "Restore", "Backup", "Encrypt", "Verify", "Scan", "Convert", "Crop", "Rotate", "Resize", "Align", "Group", "Ungroup",
)  # fmt: skip
MENU = (
    "File", "Insert", "View", "Format", "Tools", "Window", "Help", "Layout", "Data", "Review", "Layer", "Image", "Select", "Object",
    "Effect", "Track", "Project", "Terminal", "Bookmarks", "History",
)  # fmt: skip
MENUITEM = (
    "New file", "Open recent", "Save as", "Save all", "Page setup", "Properties", "Preferences", "Close window", "Exit", "Find",
    "Replace", "Go to line", "Select all", "Word count", "Zoom in", "Zoom out", "Actual size", "Show grid", "Show ruler", "Hide panel",
    "Dark mode", "Spell check", "Add comment", "Insert row", "Insert column", "Delete row", "Sort ascending", "Sort descending",
    "Freeze panes", "Clear format", "Bring to front", "Send to back", "Flip", "Mirror", "Check updates", "About", "Shortcuts",
    "Release notes", "Send feedback", "Developer mode",
)  # fmt: skip
FIELD = (
    "First name", "Last name", "Email", "Password", "Phone", "Street", "City", "Zip code", "Country", "Company", "Job title", "Website",
    "Card number", "Expiry date", "Security code", "Subject", "Message", "Comment", "Title", "Description", "Tags", "Keyword", "Amount",
    "Quantity", "Price", "Discount code", "Start date", "End date", "Time zone", "Language", "Currency", "Username", "Nickname",
    "Birthday", "Gender", "Nationality", "Passport", "Room", "Guests", "Departure", "Arrival", "Destination", "Budget", "Category",
    "Priority", "Status", "Assignee", "Due date", "Server", "Port", "Path", "Pattern", "Encoding", "Font", "Size", "Width", "Height",
)  # fmt: skip
OPTION = (
    "Notifications", "Newsletter", "Remember me", "Auto save", "Auto update", "Location", "Bluetooth", "Wifi", "Airplane mode",
    "Night light", "Sounds", "Vibration", "Captions", "High contrast", "Large text", "Private mode", "Cookies", "Cache", "Analytics",
    "Beta features", "Offline mode", "Sync photos", "Sync contacts", "Face unlock", "Two factor", "Read receipts", "Typing indicator",
    "Show hidden files", "Line numbers", "Word wrap", "Snap to grid", "Loop", "Shuffle", "Autoplay", "Equalizer", "Volume",
    "Brightness", "Contrast", "Saturation", "Opacity", "Speed", "Bass", "Treble", "Balance", "Gift wrap", "Express delivery",
    "Same address", "Terms accepted", "Vegetarian", "Breakfast", "Late checkout", "Pets allowed", "Window seat", "Extra luggage",
)  # fmt: skip
TAB = (
    "Overview", "Details", "General", "Advanced", "Security", "Privacy", "Account", "Billing", "Members", "Activity", "Comments", "Files",
    "Photos", "Videos", "Music", "Books", "News", "Sports", "Weather", "Maps", "Inbox", "Sent", "Drafts", "Spam", "Trash", "All",
    "Unread", "Favorites", "Recent", "Popular", "Orders", "Returns", "Wishlist", "Code", "Issues", "Wiki", "Insights", "Console",
    "Network", "Memory",
)  # fmt: skip
TITLE = (
    "Export as", "Import data", "Find and replace", "Delete file", "New project", "New contact", "New event", "Edit profile", "Page layout",
    "Print preview", "Share document", "Account settings", "Network settings", "Sound settings", "Display", "Color picker", "Layers",
    "Brushes", "Navigator", "Properties panel", "Outline", "Search results", "Downloads", "Messages", "Contacts", "Reminders", "Notes",
    "Tasks", "Gallery", "Player", "Playlist", "Library", "Dashboard", "Reports", "Customers", "Invoices", "Products", "Inventory",
    "Shipping", "Payment", "Sign in", "Welcome", "Feedback", "Confirm order", "Choose seats", "Rename file", "Add column", "Filter rows",
    "Chart options", "Timeline", "Mixer", "Effects rack", "Transport", "Explorer", "Problems", "Output", "Terminal pane",
)  # fmt: skip
_FIRST = (
    "Ada",
    "Bo",
    "Chidi",
    "Dalia",
    "Emre",
    "Femi",
    "Gita",
    "Hana",
    "Ivo",
    "Jun",
    "Kofi",
    "Lena",
    "Mira",
    "Nils",
    "Olga",
    "Paco",
)
_LAST = ("Abe", "Baros", "Costa", "Diaz", "Ek", "Fofana", "Gupta", "Holm", "Ito", "Jansen", "Kaya", "Li", "Moreau", "Novak")
_STEM = (
    "budget",
    "report",
    "invoice",
    "minutes",
    "photo",
    "sketch",
    "thesis",
    "recipe",
    "backup",
    "contract",
    "slides",
    "survey",
)
_ENDING = (".pdf", ".txt", ".csv", ".png", ".doc", ".zip")
_PLACE = (
    "Lisbon", "Osaka", "Nairobi", "Quito", "Oslo", "Hanoi", "Lagos", "Porto", "Cairo", "Lima", "Perth", "Turin", "Gdansk", "Izmir",
    "Accra", "Cusco", "Delhi", "Busan", "Tunis", "Bergen", "Malmo", "Ghent", "Leeds", "Basel",
)  # fmt: skip
ITEM = (
    *(f"{first} {last}" for k, first in enumerate(_FIRST) for last in _LAST[k % 2 :: 2]),
    *(f"{stem}{ending}" for stem in _STEM for ending in _ENDING),
    *(f"{kind} {place}" for place in _PLACE for kind in ("Trip to", "Hotel", "Office")),
)

KINDS = {
    "icon": ICONS, "action": ACTION, "menu": MENU, "menuitem": MENUITEM, "field": FIELD, "option": OPTION, "tab": TAB, "title": TITLE,
    "item": ITEM,
}  # fmt: skip
KIND = {name: index for index, name in enumerate(KINDS)}
LABELS = ("", *(label for kind in KINDS.values() for label in kind))
KIND_START = np.cumsum([1, *(len(kind) for kind in KINDS.values())])[:-1].astype(np.int32)
KIND_COUNT = np.array([len(kind) for kind in KINDS.values()], np.int32)

ROLE_WORDS = tuple("bar" if r == "toolbar" else "row" if r == "listitem" else r for r in ROLES)
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
VERBS = ("click", "press", "select", "open", "type into", "toggle", "choose", "drag", "the", "in the", "icon")
# What an instruction is written in: labels, then role words, ordinals, verbs and small words.
PHRASES = (*LABELS, *ROLE_WORDS, *ORDINALS, *VERBS)
ROLE_PHRASE = len(LABELS)
ORDINAL_PHRASE = ROLE_PHRASE + len(ROLE_WORDS)
VERB_PHRASE = ORDINAL_PHRASE + len(ORDINALS)

LABEL_LENGTH = 20
PHRASE_TOKENS = np.array([tokens(phrase, 4) for phrase in PHRASES], np.int32)
LABEL_CHARS = np.array([list(label.encode("ascii").ljust(LABEL_LENGTH, b"\0")) for label in LABELS], np.uint8)
LABEL_CHAR_COUNT = np.array([len(label) for label in LABELS], np.int32)

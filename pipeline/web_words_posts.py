"""What the page says about a single post, in English and Chinese."""

POSTS: dict[str, tuple[str, str]] = {
    "document": ("Post", "帖子"),
    "published": ("Published", "发布时间"),
    "toward": ("Towards {name}", "对{name}的情感"),
    "toward_why": (
        "The text as a whole is {own}; towards {name} it is {label}, and that is how it is counted there.",
        "全文情感为{own}，但对{name}的情感为{label}，并按此计入{name}。",
    ),
    "matched_by": ("Matched by", "匹配规则"),
    "flags": ("On its way in", "入库处理"),
    "scorer": ("Scorer", "评分模型"),
    "native_id": ("The source's own id", "来源编号"),
    "edited": ("edited", "已编辑"),
    "edited_when": ("Edited", "编辑时间"),
    "replaced_when": ("This version accepted", "此版本接收时间"),
    "engagement": ("Engagement", "互动"),
    "engaged likes": ("{n} likes", "{n}个赞"),
    "engaged reposts": ("{n} shares", "{n}次转发"),
    "engaged replies": ("{n} replies", "{n}条回复"),
    "order": ("Order", "排序"),
    "order newest": ("newest first", "最新在前"),
    "order engagement": ("most engagement first", "互动最多在前"),
}

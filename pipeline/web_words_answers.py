"""What the page says about answers to an episode, in English and Chinese."""

ANSWERS: dict[str, tuple[str, str]] = {
    "your_answer": ("Your answer", "您的答复"),
    "answer acknowledge": ("I take care of it", "我来处理"),
    "answer real": ("It is real", "确有其事"),
    "answer not_crisis": ("Not a crisis", "不是危机"),
    "answer_stored": ("Your answer is stored with the episode.", "您的答复已与该事件一并保存。"),
    "answer_used": ("This link was used already; the answer is stored.", "该链接已使用过，答复已保存。"),
    "answer_asked": ("Is this your answer? The link works once.", "确认提交此答复？该链接只能使用一次。"),
    "answer_unknown": ("This link is not one of ours, or it has expired.", "该链接无效或已过期。"),
    "alarm_answers": ("judged: real {real}, not a crisis {wrong}", "人工判定：属实 {real}，不是危机 {wrong}"),
    "no_answers": ("Nobody has answered yet.", "还没有人答复。"),
    "via page": ("page", "页面"),
    "via api": ("API", "API"),
    "via slack": ("Slack", "Slack"),
    "via link": ("e-mail link", "邮件链接"),
}

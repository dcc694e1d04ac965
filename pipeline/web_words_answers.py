"""What the page says about answers to an episode, why a text is read as it is, and corrections, in both languages."""

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
    "why_words": ("Which words decided?", "哪些词起了作用？"),
    "why_for": ("speaks for “{label}”", "支持“{label}”"),
    "why_against": ("speaks against “{label}”", "反对“{label}”"),
    "why_legend": (
        "Underlined solid: speaks for “{label}”, dashed: against it; the darker, the more (integrated gradients).",
        "实线：支持“{label}”；虚线：反对；颜色越深作用越大（积分梯度）。",
    ),
    "why_faithful": (
        "Faithfulness {value}: above 0, taking these words out changes the model’s mind faster than taking out others.",
        "忠实度 {value}：大于 0 表示去掉这些词比去掉其他词更快改变模型的判断。",
    ),
    "why_other_model": ("Read by another model than the one that explains.", "评分模型与解释模型不同。"),
    "no_answers": ("Nobody has answered yet.", "还没有人答复。"),
    "via page": ("page", "页面"),
    "via api": ("API", "API"),
    "via slack": ("Slack", "Slack"),
    "via link": ("e-mail link", "邮件链接"),
    "correct": ("Correct the model", "更正模型"),
    "correct_why": (
        "If the label is wrong, say what is right: the next training learns from it.",
        "如果标签有误，请指出正确的标签，下次训练会从中学习。",
    ),
    "correction_stored": ("Your correction is stored.", "您的更正已保存。"),
}

"""The page as a whole, in Chinese."""

TEXTS = {
    "title": "StoryLab 故事实验室",
    "tagline": "你写第一句，几个训练方式各不相同的语言模型接着往下写。",
    "served": "StoryLab 已在 {address} 打开",
    "caution": "这些模型只懂英语，会凭空编造，也可能写出令人不快的内容。",
    "other_language": "English",
    "copy_link": "复制链接",
    "copy_link_hint": "复制这个页面的链接：打开它的人会得到同样的文字",
    "title_yours": "你在此微调的模型",
    # Refusals
    "problem_full": "现在等故事的人太多了，请一分钟后再试。",
    "problem_often": "这里每人每分钟最多讲 {most} 次，请 {seconds} 秒后再试。",
    "problem_no_training": "这个页面不做训练；可以在自己的机器上用 python -m storylab 训练。",
    # The tabs
    "tab_compare": "对比",
    "tab_results": "结果",
    "tab_tokens": "词元",
    "tab_decoding": "解码",
    "tab_training": "训练",
    "tab_stories": "故事",
    "tab_tour": "导览",
}
